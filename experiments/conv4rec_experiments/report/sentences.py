"""What certificates say, in plain words that come from their targets: for pages and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from conv4rec_bounds import THEOREMS, Status
from conv4rec_experiments.formatting import confidence, lower, unit, upper

if TYPE_CHECKING:
    from conv4rec_bounds import Certificate, Report

__all__ = ["GLOSSARY", "about", "glossary", "headline", "leading", "reason", "statement"]

MOST = 4
PREFERRED = (
    "T9",
    "T9-pool",
    "T9-paired",
    "T9-users",
    "T9-parts",
    "T9-gems",
    "T8-code",
    "T8",
    "T8-paired",
    "T2",
    "T1",
    "T3",
    "T4",
)
"""Of certificates about one kind of quantity the headline tells the first; those not named here come last."""

COARSE = "groups of cells"
"""Words of a target that is a total variation over groups only: it is told apart from one over all cells."""

SCOPES: Mapping[str, str] = {
    "any estimator": "the best that any estimator can do on its worst law, and not about this model",
    "counted": "the interactions that were counted, and not about any others",
    "hidden gems": "held-out interactions with items of that pool, and not about single items or items pushed at users",
    "pool": "interactions that exist already, in that pool, and not about future ones or about other users",
    "new user": "new users from the same population, and not about other populations or tastes that change",
    "": "further interactions of the same users, by the same laws, and not about other users or tastes that change",
}
"""What a certificate is about and what not, by the first of these words that its target has."""

OTHERS: Mapping[str, str] = {
    "draw": "networks drawn near a prior or the trained weights, and not about the trained network itself",
    "mixture": "a mixture of predictors, and not about the last of them",
}
"""Which predictor a certificate is about, if not the one that is shipped, by a word of its target."""

GLOSSARY: Mapping[str, str] = {
    "risk": "mean loss on new interactions by the same laws",
    "loss": "minus the logarithm of the probability that the model gave to what happened: which item, which level",
    "nats": "unit of losses: natural logarithms; 0.69 nats are one bit, and 0.01 nats one percent of probability",
    "total variation": "the largest difference between two laws in the probability of any event, from 0 to 1",
    "smoothed": "the model with a little of the uniform law mixed in, so that no loss is infinite",
    "draw": "a network drawn near a prior or the trained weights, and not the trained network itself",
    "pool of hidden gems": "pairs of user and item that the model picks: items that the user is unlikely to come upon "
    "and is expected to like; something else than a finite pool of interactions",
    "pool": "a finite pool: a fixed set of interactions that exist already; its law is what a blind pick from it would "
    "give",
    "user mix": "every user counts by the share of interactions that he has in that part",
}
"""Words of targets that not everybody knows; a word that is part of a longer one comes after it."""


def reason(row: Mapping[str, Any]) -> str:
    """Write the reason of a row of certificates, with the theorem in front."""
    said = str(row["reason"])
    return said if said.startswith(f"{row['theorem']} ") else f"{row['theorem']}: {said}"


def statement(certificate: Certificate) -> str:
    """Say what a certificate with a value says, in one sentence, rounded to the safe side.

    Examples
    --------
    >>> from conv4rec_bounds import Certificate
    >>> statement(Certificate.judged(theorem="T9", title="", target="risk of models (nats)", value=1.23456, trivial=4))
    'The risk of models is at most 1.235 nats.'
    """
    return f"{_capital(_claim(certificate))}."


def about(certificates: Iterable[Certificate]) -> list[str]:
    """Say what the certificates are about and what they are not about, each thing once.

    Examples
    --------
    >>> from conv4rec_bounds import Certificate
    >>> about([Certificate.refused("T9-pool", "", "mean loss over the pool (nats)", "")])[0][:53]
    'This is about interactions that exist already, in tha'
    """
    targets = [found.target for found in certificates]
    scopes = [next(scope for words, scope in SCOPES.items() if words in target) for target in targets]
    scopes += [other for words, other in OTHERS.items() for target in targets if words in target]
    return [f"This is about {scope}." for scope in dict.fromkeys(scopes)]


def glossary(certificates: Iterable[Certificate]) -> dict[str, str]:
    """Explain the words that the targets of the certificates have, in the order of the glossary."""
    targets = " ".join(found.target for found in certificates)
    found = {}
    for words, meaning in GLOSSARY.items():
        if words in targets:
            found[words] = meaning
            # A word that stands only inside a longer one means something else there.
            targets = targets.replace(words, "")
    return found


def headline(report: Report, failure: float | None = None) -> str:
    """Say in plain words the strongest things that are certified; the failure probability is that of the report."""
    failure = float(report.budget.total) if failure is None else failure
    sentences = [_plain(certificate) for certificate in leading(report)]
    if not sentences:
        return "No certificate says more about this model than what holds for any model."
    return f"With confidence {confidence(failure)}: {'; and '.join(sentences)}."


def leading(report: Report) -> list[Certificate]:
    """Choose what the headline tells: of valid certificates that the data has paid for, one about each kind.

    Of bounds on the total variation of the model itself that is the least; else `PREFERRED` decides. What holds for
    sure is left out: it follows from another certificate, or is not about the model.
    """
    deterministic = {theorem.number for theorem in THEOREMS if theorem.deterministic}
    of_the_model = {theorem.number for theorem in THEOREMS if theorem.model_tv}
    valid = [c for c in report if c.status is Status.VALID and c.theorem not in deterministic]
    kinds: dict[tuple[str, str], list[Certificate]] = {}
    for certificate in valid:
        if not _is_distance(certificate):
            kinds.setdefault((unit(certificate.target), certificate.side), []).append(certificate)
        elif COARSE in certificate.target:
            kinds.setdefault(("coarse distance", certificate.side), []).append(certificate)
        elif certificate.theorem in of_the_model:
            kinds.setdefault(("distance", "upper"), []).append(certificate)
        elif certificate.target.startswith("total variation of the model"):
            kinds.setdefault(("distance", certificate.side), []).append(certificate)
    chosen = {kind: min(kinds[kind], key=_rank) for kind in _in_order(kinds)}
    fine, coarse = (chosen.get((kind, "upper")) for kind in ("distance", "coarse distance"))
    if fine is not None and coarse is not None and _value(fine) <= _value(coarse):
        # What holds for all events holds for those that are made of groups.
        del chosen["coarse distance", "upper"]
    return list(chosen.values())[:MOST]


def _in_order(kinds: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    order = ["distance", "coarse distance", "nats", "share", "levels"]
    return sorted(kinds, key=lambda kind: (order.index(kind[0]), kind[1] == "lower"))


def _rank(certificate: Certificate) -> tuple[float, float]:
    if _is_distance(certificate):
        return (0.0, _value(certificate) if certificate.side == "upper" else -_value(certificate))
    place = PREFERRED.index(certificate.theorem) if certificate.theorem in PREFERRED else len(PREFERRED)
    return (float(place), 0.0)


def _value(certificate: Certificate) -> float:
    return certificate.value or 0.0


def _is_distance(certificate: Certificate) -> bool:
    return certificate.target.startswith("total variation")


def _claim(certificate: Certificate) -> str:
    target, _, given = certificate.target.partition("; ")
    measure = unit(target)
    subject = target.replace(f" ({measure})", "")
    article = "" if subject.startswith("the ") else "the "
    side, value = ("at most", upper) if certificate.side == "upper" else ("at least", lower)
    ending = "" if measure == "share" else f" {measure}"
    basis = f", where {given}" if given else ""
    return f"{article}{subject} is {side} {value(certificate.value)}{ending}{basis}"


def _plain(certificate: Certificate) -> str:
    """Say it as the headline does: events instead of total variation, and choices beside a loss."""
    value, trivial = certificate.value, certificate.trivial
    if value is None or trivial is None:
        raise ValueError("a certificate without a value has no headline")
    if _is_distance(certificate):
        if certificate.side == "upper":
            far, of, which = upper(math.nextafter(100 * value, math.inf), 3), "at most", "any event"
        else:
            far, of, which = lower(math.nextafter(100 * value, 0.0), 3), "at least", "some event"
        which += " that is made of groups of cells" if COARSE in certificate.target else ""
        other = "its share in the held-out pool" if "pool" in certificate.target else "the true one"
        return (
            f"the model's probability of {which} differs from {other}, on average over the users, by {of} {far} "
            "percentage points"
        )
    if certificate.target.startswith("margin over"):
        return f"the model's mean loss lies at least {lower(value)} nats below the other predictor's, both smoothed"
    loss = unit(certificate.target) == "nats" and any(word in certificate.target for word in ("loss", "risk"))
    if loss and certificate.side == "upper" and trivial > 0:
        # Above the exponential, whatever its rounding.
        choices, of_all = upper(math.exp(value) * (1 + 1e-14), 3), f"{math.exp(trivial):,.0f}"
        return f"{_claim(certificate)}, as if it chose blindly among {choices} answers instead of {of_all}"
    return _claim(certificate)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
