"""Networks in few bytes: what is written comes back, damage is refused, the decoder is blind, few bytes gain a lot."""

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec import Conv4Rec, InputError, Interactions, split_by_coin, split_by_time
from conv4rec.network import Architecture
from conv4rec_experiments.codes.compressing import compress, decoded_network
from conv4rec_experiments.codes.files import STEPS, Numbers, decode, encode, numbers_shapes
from conv4rec_experiments.codes.fitting import fit_numbers
from conv4rec_experiments.codes.profile_network import ProfileNetwork
from conv4rec_experiments.codes.streams import LARGEST, Reader, Writer, code_integers
from conv4rec_experiments.evaluation import evaluate
from conv4rec_experiments.runs import certify_run, write_evaluation

SIZES = Architecture(n_items=6, n_levels=3, channels=2, code=3, shared_maps=False)


def trained(split_by=split_by_coin, epochs=1, **options):
    """Return a model of two kinds of users who like two halves of the items."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(400), 40)
    item = rng.permuted(np.tile(np.arange(60), (400, 1)), axis=1)[:, :40].reshape(-1)
    liked = (item < 30) == (user % 2 == 0)
    keep = liked | (rng.random(user.size) < 0.1)
    level = np.where(liked, 3, rng.integers(1, 4, size=user.size))
    columns = {"user": user, "item": item, "rating": level, "time": rng.permutation(user.size)}
    data = Interactions.from_frame(pl.DataFrame({name: values[keep] for name, values in columns.items()}))
    return Conv4Rec(channels=2, code=2, epochs=epochs, device="cpu").fit(
        data, split_by(data, **options), progress=False
    )


@pytest.fixture(scope="module")
def model():
    return trained(seed=1)


@pytest.fixture(scope="module")
def blind(model):
    return ProfileNetwork.of(model)


@pytest.fixture(scope="module")
def code(model):
    return compress(model)


def random_numbers(draw, sizes):
    whole = st.one_of(st.just(0), st.integers(-3, 3), st.integers(-LARGEST, LARGEST))
    layers = {}
    for name, shape in numbers_shapes(sizes).items():
        size = math.prod(shape)
        flat = draw(st.one_of(st.just([0] * size), st.lists(whole, min_size=size, max_size=size)))
        layers[name] = np.array(flat, dtype=np.int64).reshape(shape)
    return Numbers(draw(st.integers(0, len(STEPS) - 1)), layers)


@given(st.data())
def test_what_is_written_comes_back_and_every_bit_is_counted(data):
    numbers = random_numbers(data.draw, SIZES)
    file, bits = encode(numbers)
    assert sum(bits.values()) == 8 * len(file)
    assert all(isinstance(count, int) and count >= 0 for count in bits.values())
    assert set(bits) == {"check and padding", "step", *numbers_shapes(SIZES)}
    back = decode(file, SIZES)
    assert back.step == numbers.step
    for name, values in numbers.layers.items():
        np.testing.assert_array_equal(back.layers[name], values)
    assert encode(back)[0] == file


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(1, 1000), min_size=4, max_size=4)), max_size=60))
def test_a_file_is_as_long_as_the_chances_say(symbols):
    writer = Writer()
    for symbol, frequencies in symbols:
        writer.code(symbol, frequencies, "part")
    file, _ = writer.pack()
    ideal = sum(math.log2(sum(f) / f[s]) for s, f in symbols)
    # Rounding to whole numbers costs less than twenty bits while the integer is short, and next to nothing later.
    assert 8 * len(file) <= ideal + 28 + 0.01 * len(symbols)
    reader = Reader(file)
    assert [reader.code(0, frequencies, "part") for _, frequencies in symbols] == [symbol for symbol, _ in symbols]
    reader.end()


@settings(max_examples=20)
@given(st.data())
def test_decoded_weights_are_those_that_were_written_bit_for_bit(blind, data):
    numbers = random_numbers(data.draw, blind.architecture)
    written, read = numbers.weights(blind), decode(encode(numbers)[0], blind.architecture).weights(blind)
    assert set(written) == set(blind.architecture.shapes())
    for name, values in written.items():
        np.testing.assert_array_equal(values, read[name])
        assert values.shape == blind.architecture.shapes()[name]


def test_damaged_files_are_refused():
    rng = np.random.default_rng(3)
    layers = {name: rng.integers(-2, 3, size=shape) for name, shape in numbers_shapes(SIZES).items()}
    file, _ = encode(Numbers(1, layers))
    assert len(file) > 15
    damaged = [file[:length] for length in range(len(file))]
    damaged += [file + bytes([byte]) for byte in range(256)]
    damaged += [
        file[:place] + bytes([file[place] ^ 1 << bit]) + file[place + 1 :] for place in range(15) for bit in range(8)
    ]
    passed = 0
    for data in damaged:
        try:
            decode(data, SIZES)
            passed += 1
        except InputError as error:
            assert "file" in str(error)  # noqa: PT017 - most must raise, not each
    assert passed <= len(damaged) / 50
    for bad, words in ((b"", "damaged"), (file[:5], "damaged"), (b"\0" + file, "zero byte")):
        with pytest.raises(InputError, match=words):
            decode(bad, SIZES)


def test_a_number_that_is_too_large_is_refused():
    with pytest.raises(InputError, match="beyond 255"):
        code_integers(Writer(), np.array([0, LARGEST + 1]), "numbers")


def test_the_decoder_has_not_seen_the_scored_part(model, blind):
    """Other interactions outside the profiles leave its weights as they are; other profiles do not."""
    split = model.split
    data = split.interactions

    def with_levels(changed):
        level = data.level.copy()
        level[changed] = (level[changed] + 1) % data.n_levels
        names = ("user", "item", "time", "user_ids", "item_ids", "levels")
        other = Interactions(**{name: getattr(data, name) for name in names}, level=level)
        again = Conv4Rec(channels=1, code=3, epochs=0, seed=5, device="cpu")
        return ProfileNetwork.of(again.fit(other, replace(split, interactions=other), progress=False)).weights

    same, other = with_levels(split.part != 0), with_levels(split.part == 0)
    for name, values in blind.weights.items():
        np.testing.assert_array_equal(values, same[name])
        assert name in ("lift", "project") or not np.array_equal(values, other[name])


def test_where_nothing_is_told_everybody_gets_what_is_popular(model, blind):
    nothing = Numbers(
        0, {name: np.zeros(shape, dtype=int) for name, shape in numbers_shapes(blind.architecture).items()}
    )
    weights = nothing.weights(blind)
    assert not weights["decode"].any()
    assert not weights["offset"].any()
    np.testing.assert_array_equal(weights["cell_bias"], blind.weights["cell_bias"])
    assert len(encode(nothing)[0]) == 2


def test_a_few_bytes_gain_more_than_they_cost(model, blind, code):
    assert 2 < len(code.data) < 40
    zero = {name: 0 * value for name, value in model.weights().items()}
    popular = model.with_weights(zero | {"cell_bias": blind.weights["cell_bias"]})
    for part in (model.split.scored, model.split.held_out):
        told, known = code.log_probabilities(part), popular.log_probabilities(part)
        assert -told.joint.mean() < -known.joint.mean() - 0.2
        np.testing.assert_array_equal(told.cells, known.cells)
    assert code.compressed.length == len(code.data)
    scored = code.log_probabilities(model.split.scored)
    np.testing.assert_array_equal(code.compressed.log_probabilities, scored.joint)


def test_the_same_interactions_give_the_same_file_and_a_file_the_same_network(model, code):
    assert compress(model).data == code.data
    again = decoded_network(code.data, model).weights()
    for name, values in code.network.weights().items():
        np.testing.assert_array_equal(values, again[name])


def test_shrinkage_leaves_the_gains_alone(model, blind):
    layers = fit_numbers(model.split, blind, 1, 100.0).layers
    assert layers["gains"].any()
    assert not any(values.any() for name, values in layers.items() if name != "gains")


def test_a_run_holds_the_file_that_its_certificate_counts(model, code, tmp_path):
    model.save(tmp_path)
    evaluation, paths = certify_run(tmp_path, 0.05)
    assert tmp_path / "code.bin" in paths
    data = (tmp_path / "code.bin").read_bytes()
    record = json.loads((tmp_path / "certificates.json").read_text())
    row = next(row for row in record["certificates"] if row["theorem"] == "T8-code")
    assert row["quantities"]["B"] == len(data) == len(evaluation.code)
    assert sum(value for name, value in row["quantities"].items() if name.startswith("bits of ")) == 8 * len(data)
    assert row["status"] == "valid"
    assert math.fsum(row["attribution"].values()) == row["terms"]["deviation"]
    assert record["measured"]["T8-code"]["value"] < row["value"]
    network = decoded_network(data, Conv4Rec.load(tmp_path))
    for name, values in code.network.weights().items():
        np.testing.assert_array_equal(network.weights()[name], values)


def test_where_no_chance_made_the_parts_there_is_no_file(tmp_path):
    evaluation = evaluate(trained(split_by_time, epochs=0))
    assert evaluation.code is None
    assert "neither independent draws" in evaluation.report["T8-code"].reason
    (tmp_path / "code.bin").write_bytes(b"old")
    assert tmp_path / "code.bin" not in write_evaluation(evaluation, tmp_path)
    assert not (tmp_path / "code.bin").exists()
