"""Numbers as people read them, the same on pages, on the command line and in reports."""


def percent(fraction: float | None, digits: int = 1) -> str:
    """0.973 as "97.3 %"; nothing known as a dash."""
    return "–" if fraction is None or fraction != fraction else f"{100 * fraction:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """252 as "4 min 12 s"; below ten seconds with a digit after the point."""
    if seconds is None or seconds != seconds:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole} s" if minutes else f"{whole} s"


def rough_duration(seconds: float) -> str:
    """An estimate without false precision: "about 40 s", "about 3 min"."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"about {max(1, round(seconds / 5) * 5 if seconds > 12 else round(seconds))} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


def speed(images_per_s: float | None) -> str:
    return "–" if images_per_s is None else f"{images_per_s:,.0f} images/s"


def large(number: float) -> str:
    """1,234,567 as "1.2 M", 21,840 as "21.8 k"."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.99995 * factor:  # else 999,999 would be 1000.0 k
            return f"{number / factor:.1f} {unit}"
    return f"{number:,.0f}"


def size(num_bytes: float) -> str:
    """12,345,678 as "12.3 MB"."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= 0.99995 * factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes:,.0f} bytes"


def counted(count: int, noun: str) -> str:
    """1 as "1 step", 2,000 as "2,000 steps"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def share(fraction: float) -> str:
    """0.97 as "97 %", 0.0004 as "0.04 %": as many digits as it takes to tell a little from nothing."""
    percents = 100 * fraction
    return f"{percents:.0f} %" if percents >= 1 or not percents else f"{percents:.1g} %"


def escaped_cell(name: str) -> str:
    """A name that a spreadsheet would take for a formula is put behind an apostrophe."""
    return f"'{name}" if name.startswith(tuple("=+-@\t\r")) else name
