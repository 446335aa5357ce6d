"""The commands about bounds: certify what was trained here or elsewhere, and plan what it takes."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from conv4rec_experiments.certify_options import refuse_odd_options
from conv4rec_experiments.words import assignments, names, numbers

__all__ = ["Delta", "certify", "plan"]

Delta = Annotated[float, typer.Option(help="Failure probability that all certificates of the report share.")]
Smoothing = Annotated[
    float | None, typer.Option(help="Weight of the uniform law in the certified predictor; 0.01.", show_default=False)
]
Receipt = Annotated[
    Path | None, typer.Option(help="A coverage receipt that the page cites: the receipt.json of a study.")
]
Out = Annotated[Path, typer.Option(help="The folder of the results; files of the same names there are replaced.")]


def certify(
    context: typer.Context,
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The folder that `conv4rec train` has written.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Instead: weights made elsewhere, .npz or .safetensors.")] = None,
    log_probabilities: Annotated[
        Path | None, typer.Option(help="Instead: a table of any model's held-out log-probabilities, CSV or Parquet.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another model's table of the same interactions in the same order.")
    ] = None,
    user_scores: Annotated[
        Path | None, typer.Option(help="Instead or besides: a table of users' scores in [0, 1], CSV or Parquet.")
    ] = None,
    laws: Annotated[
        Path | None, typer.Option(help="Instead or besides: a table of any model's probabilities of groups of cells.")
    ] = None,
    interactions: Annotated[
        Path | None, typer.Option(help="Of --laws: a table of the held-out interactions over the same groups.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of --interactions: seed of the random half of a pool.")] = 0,
    delta: Delta = 0.05,
    independent: Annotated[
        bool, typer.Option("--independent", help="Declare independent draws from a catalogue fixed beforehand.")
    ] = False,
    independent_levels: Annotated[
        bool,
        typer.Option(
            "--independent-levels",
            help="Declare held-out levels independent, given users and items, of a scale fixed beforehand.",
        ),
    ] = False,
    least_interactions: Annotated[
        int, typer.Option(min=0, help="Of RUN: hidden gems are items of at least so many training interactions.")
    ] = 0,
    pool: Annotated[
        bool, typer.Option("--pool", help="Declare what was scored or held out a random subset of a finite pool.")
    ] = False,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells inside the softmax; the largest number.")] = None,
    pool_size: Annotated[int | None, typer.Option(min=1, help="Interactions in the pool of the table.")] = None,
    smoothing: Smoothing = None,
    levels: Annotated[int | None, typer.Option(min=1, help="Of a table's further columns: number of levels.")] = None,
    level_range: Annotated[
        float | None, typer.Option(help="Of a column level_error: the greatest level minus the least.")
    ] = None,
    whole_users: Annotated[
        bool, typer.Option("--whole-users", help="Of --user-scores: nothing of these users made the model.")
    ] = False,
    map: Annotated[  # noqa: A002 - the word that users type
        str, typer.Option(help="Arrays of the layers: lift=NAME,encode=NAME,decode=NAME,...")
    ] = "",
    transpose: Annotated[
        list[str] | None, typer.Option(help="A layer whose last two axes come in the other order; repeatable.")
    ] = None,
    activations: Annotated[
        str,
        typer.Option(
            help="After lift, encode and, if any, decode, such as identity,tanh,asinh; identity, tanh, relu or asinh."
        ),
    ] = "",
    fixed_profile: Annotated[
        bool, typer.Option("--fixed-profile", help="Declare the encoder's input independent of what is scored.")
    ] = False,
    scored: Annotated[int | None, typer.Option(min=1, help="Number of scored interactions.")] = None,
    risk: Annotated[float | None, typer.Option(help="The model's mean loss on them, in nats.")] = None,
    truth_risk: Annotated[float | None, typer.Option(help="A known truth's own mean loss on them.")] = None,
    users: Annotated[int | None, typer.Option(min=1, help="Number of users with scored interactions.")] = None,
    user_risk: Annotated[float | None, typer.Option(help="Mean over users of their own mean loss.")] = None,
    independent_users: Annotated[
        bool,
        typer.Option(
            "--independent-users",
            help="Declare the users independent draws from one population, from a catalogue fixed beforehand, with "
            "parts made by coins, one permutation, or dates fixed beforehand.",
        ),
    ] = False,
    cut: Annotated[
        bool, typer.Option("--cut", help="Of independent users: one permutation of all interactions made the parts.")
    ] = False,
    masked: Annotated[
        bool, typer.Option("--masked", help="Of --user-risk: the softmax leaves some of a user's cells out.")
    ] = False,
    receipt: Receipt = None,
    out: Annotated[
        Path, typer.Option(help="The folder of the results, whose files of the same names are replaced.")
    ] = Path("certificates"),
) -> None:
    """Certify a run of `conv4rec train`, weights made elsewhere, or any model by its held-out log-probabilities."""
    from conv4rec_experiments.printing import (
        print_certificates,
        print_evaluation,
        print_intervals,
        print_lines,
        print_parts,
        print_paths,
    )

    refuse_odd_options(context)
    cited = None
    if receipt is not None:
        from conv4rec_experiments.studies.receipt import load_receipt

        cited = load_receipt(receipt)
    if run is not None:
        from conv4rec_experiments.runs import certify_run

        evaluation, paths = certify_run(
            run,
            delta,
            independent=independent,
            new_users=independent_users,
            independent_levels=independent_levels,
            least_interactions=least_interactions,
            receipt=cited,
        )
        print_evaluation(evaluation)
        print_paths(paths)
        return
    from conv4rec_bounds import Protocol, Scored, UserMeans
    from conv4rec_bounds import certify as certify_evidence
    from conv4rec_bounds.loss import DEFAULT_SMOOTHING
    from conv4rec_experiments import strangers
    from conv4rec_experiments.distances import Distances, interval
    from conv4rec_experiments.measured import measured_distance
    from conv4rec_experiments.parts import part_rows
    from conv4rec_experiments.region_tables import compare_tables
    from conv4rec_experiments.report.sentences import headline

    protocol = Protocol(
        sampling="independent" if independent else "finite pool" if pool else "neither",
        # A table of log-probabilities says nothing about an encoder, and its theorems hold for every predictor.
        profile="self-reconstruction" if weights is not None and not fixed_profile else "fixed",
        users="cut" if cut else "independent" if independent_users else "given",
    )
    parts: list[dict[str, Any]] = []
    found = Distances({})
    if weights is not None:
        report = strangers.certify_weights(
            weights,
            assignments(map),
            transposed=transpose or (),
            activations=names(activations),
            protocol=protocol,
            scored=None if scored is None or risk is None else Scored(scored, risk, truth_risk, users=users),
            user_means=None if users is None or user_risk is None else UserMeans(users, user_risk, masked),
            cells=cells,
            delta=delta,
        )
    else:
        evidence = strangers.table_evidence(
            log_probabilities,
            against=against,
            protocol=protocol,
            user_scores=user_scores,
            whole_users=whole_users,
            cells=cells,
            pool=pool_size,
            smoothing=DEFAULT_SMOOTHING if smoothing is None else smoothing,
            levels=levels,
            level_range=level_range,
        )
        if laws is not None and interactions is not None:
            found = compare_tables(laws, interactions, protocol, seed=seed)
            evidence = replace(evidence, **found.parts)
        report = certify_evidence(evidence, delta)
        parts = part_rows(report, evidence)
    print_certificates(strangers.certificate_rows(report, measured_distance(found)), report)
    print_parts(parts)
    if found.parts:
        print_intervals([interval("the model", report, found.at_most)])
    if any(certificate.value is not None for certificate in report):
        print_lines("", headline(report))
    else:
        undeclared = protocol.sampling == "neither"
        remedy = "declare --independent or --pool if it is true" if undeclared else "each reason says what is missing"
        print_lines("", f"No certificate has a value; {remedy}.")
    files = [str(path) for path in (weights, log_probabilities, user_scores, laws, interactions) if path is not None]
    compared = {} if against is None else {"against": str(against)}
    origin = {"files": files, **compared, "declared": asdict(protocol) | {"whole_users": whole_users}}
    print_paths(strangers.write_report(report, out, origin, cited, parts, found))


def plan(
    theorem: Annotated[
        list[str] | None, typer.Option(help="A theorem, such as T1; repeatable; by default all that can be planned.")
    ] = None,
    wanted: Annotated[
        float | None, typer.Option(help="Nats above the measured loss, or a total variation; by default 0.5 and 0.25.")
    ] = None,
    items: Annotated[int, typer.Option(min=1, help="Number of items.")] = 1000,
    levels: Annotated[int, typer.Option(min=1, help="Number of levels.")] = 5,
    channels: Annotated[int | None, typer.Option(min=1, help="Number of channels; the model's default.")] = None,
    code: Annotated[int | None, typer.Option(min=1, help="Size of the code in each; the model's default.")] = None,
    shared_maps: Annotated[
        bool | None,
        typer.Option(
            "--shared-maps/--no-shared-maps", help="One encode and decode for all channels; the model's default."
        ),
    ] = None,
    code_activation: Annotated[
        str | None, typer.Option(help="After encode: tanh, identity or relu; the model's default.")
    ] = None,
    norms: Annotated[str, typer.Option(help="Norms of some layers, such as encode=2,cell_bias=4.")] = "",
    distances: Annotated[str, typer.Option(help="Distances to references, such as encode=2,decode=1.")] = "",
    users: Annotated[int, typer.Option(min=1, help="Number of users with scored interactions.")] = 1000,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells inside the softmax; items times levels.")] = None,
    risk: Annotated[float | None, typer.Option(help="The truth's mean loss, in nats; 0.75 log(cells).")] = None,
    excess: Annotated[float, typer.Option(help="By how much the model's mean loss exceeds it.")] = 0.0,
    variance: Annotated[float, typer.Option(help="Variance of the held-out losses to be expected.")] = 2.0,
    smoothing: Smoothing = None,
    pool: Annotated[int, typer.Option(help="Size of the finite pool.")] = 100_000,
    others: Annotated[
        str, typer.Option("--set", help="Inputs of the formulas that nothing else sets, such as D=500,w_0=8.")
    ] = "",
    delta: Annotated[float, typer.Option(help="Failure probability of each theorem by itself.")] = 0.05,
    out: Annotated[
        Path, typer.Option(help="The folder of the results, whose files of the same names are replaced.")
    ] = Path("plan"),
) -> None:
    """Say how many interactions or users a wanted bound needs, without any model."""
    from conv4rec_bounds.loss import DEFAULT_SMOOTHING
    from conv4rec_experiments.planning import plans, write_plans
    from conv4rec_experiments.printing import print_paths, print_plans
    from conv4rec_experiments.setting import Setting

    of_model: dict[str, Any] = {
        "channels": channels,
        "code": code,
        "shared_maps": shared_maps,
        "code_activation": code_activation,
    }
    setting = Setting(
        **{name: value for name, value in of_model.items() if value is not None},
        items=items,
        levels=levels,
        norms=numbers(norms),
        distances=numbers(distances),
        users=users,
        cells=cells,
        risk=risk,
        excess=excess,
        variance=variance,
        smoothing=DEFAULT_SMOOTHING if smoothing is None else smoothing,
        pool=pool,
        delta=delta,
        others=numbers(others),
    )
    found = plans(theorem, wanted, setting)
    print_plans(found)
    print_paths(write_plans(found, setting, out))
