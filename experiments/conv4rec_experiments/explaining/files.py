"""The files of an explanation, so that whoever trains anew can delete what was said of other weights."""

__all__ = ["EXPLAINED", "PICTURES"]

TABLES = (
    *("mixing", "channels", "channel_items", "effects", "catalogue", "user_items", "user_levels"),
    *("ablation", "ablation_differences"),
)
PICTURES = ("mixing", "channels", "effects", "catalogue", "user", "ablation")
EXPLAINED = (
    "explained.html",
    *(f"{name}.csv" for name in TABLES),
    *(f"{name}.{suffix}" for name in PICTURES for suffix in ("pdf", "png")),
)
"""All files that an explanation may write."""
