"""Whether a page opens from a disk without a network."""

import re


def outside_references(page: str) -> list[str]:
    """What a page would fetch from a network or from beside itself when opened: none, or it is not self-contained."""
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,", page)
    found = re.findall(r"<(?:img|script|iframe|source|video|embed)\b[^>]*?\ssrc=[\"']([^\"']+)", page)
    found += re.findall(r"<link\b[^>]*?\shref=[\"']([^\"']+)", page)
    found += re.findall(r"url\([\"']?((?!data:)[^\"')]+)", page)
    found += re.findall(r"@import\s+[\"']([^\"']+)", page)
    return [f for f in found if not f.startswith("data:")]
