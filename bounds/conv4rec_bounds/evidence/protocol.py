"""How the profile and the scored part came about."""

from dataclasses import dataclass
from typing import Literal

from conv4rec_bounds.errors import RefusedError

__all__ = ["Protocol"]


@dataclass(frozen=True)
class Protocol:
    """How the profile and the scored part came about.

    Independence cannot be read off data, so ``sampling`` has no default: it is declared.

    Attributes
    ----------
    sampling
        ``"independent"``: given the users, scored and held-out interactions are independent draws;
        ``"finite pool"``: they are uniformly random subsets, without replacement, of a finite pool
        (ratings that cannot repeat). Certificates then speak of the pool's own law;
        ``"neither"``: for example periods of ratings that cannot repeat. Theorems that start from either refuse.
    profile
        ``"fixed"``: the encoder's input is independent of the scored part given the users;
        ``"self-reconstruction"``: the encoder reads the interactions that it is scored on.
    training
        ``"fixed profile"`` or ``"redrawn profiles"``; bounds that hold for all weights allow both, as long as
        the risk is measured on one designated fixed profile.
    users
        ``"given"``: statements are about these users; ``"independent"``: users, each with profile, mask and scored
        interactions, are independent draws from one population, from a catalogue fixed beforehand, so that nothing but
        coins or dates fixed beforehand made the parts; ``"cut"``: users with all their interactions are such draws,
        and nothing ties their parts but coins and a cut of one random permutation of all interactions. Dates computed
        from the data of all users tie them and allow neither.
    """

    sampling: Literal["independent", "finite pool", "neither"]
    profile: Literal["fixed", "self-reconstruction"] = "fixed"
    training: Literal["fixed profile", "redrawn profiles"] = "fixed profile"
    users: Literal["given", "independent", "cut"] = "given"

    def __post_init__(self) -> None:
        """Refuse words that no theorem knows."""
        allowed = {
            "profile": ("fixed", "self-reconstruction"),
            "sampling": ("independent", "finite pool", "neither"),
            "training": ("fixed profile", "redrawn profiles"),
            "users": ("given", "independent", "cut"),
        }
        for name, words in allowed.items():
            if getattr(self, name) not in words:
                raise RefusedError(f"protocol {name} is {getattr(self, name)!r}; expected one of {', '.join(words)}")
