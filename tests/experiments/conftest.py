"""Pages are opened in browsers where there are any; where there is none, there is nothing to open them with."""

from browsers import browsers

collect_ignore = [] if browsers() else ["test_pages_in_browsers.py"]
