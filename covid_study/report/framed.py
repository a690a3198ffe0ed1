"""Tables of HTML by hand, until the last of them is a frame in the look of `show.table`."""

from IPython.display import HTML

STYLE = """<style>
.study-table{overflow-x:auto;margin:0 0 1.2em}
.study-table table{border-collapse:collapse;font-size:12.5px;line-height:1.3;font-variant-numeric:tabular-nums;
 margin:0;width:auto;table-layout:auto;border:0}
.study-table .caption{font-size:12.5px;padding:0 0 .5em;max-width:70em}
.study-table th,.study-table td{padding:4px 6px;border:0;text-align:center!important;white-space:nowrap;background:none;
 vertical-align:top!important;max-width:none}
.study-table thead th{font-weight:600;vertical-align:bottom!important}
.study-table thead tr:first-child th{border-top:1.5px solid currentColor}
.study-table thead tr:last-child th{border-bottom:1px solid currentColor}
.study-table tbody tr{background:none!important;border-bottom:1px solid rgba(128,128,128,.28)}
.study-table tbody tr:last-child{border-bottom:1.5px solid currentColor}
.study-table th.row{text-align:left!important;font-weight:600;white-space:normal;min-width:8.5em;max-width:13em}
.study-table .key{text-align:left!important;font-size:10.5px;opacity:.68;line-height:1.56}
.study-table th.wrap{white-space:normal}
.study-table .first{border-left:1px solid rgba(128,128,128,.28)}
.study-table .small,.study-table .paper{font-size:10.5px;opacity:.68;font-weight:400}
.study-table .paper{opacity:.95;color:#0072b2}
.study-table .extra{display:inline-block;font-size:10px;font-weight:400;padding:0 4px;border-radius:3px;
 border:1px solid #b35c00;color:#b35c00}
</style>"""


def framed(caption: str, head: str, body: str, style: str = "", below: str = "") -> HTML:
    """A table as all of them look: its caption above, a frame that scrolls where it is wider than the page.

    Args:
        caption, body, below: HTML; `body` the rows. head: the rows of the head, "" for none.
        style: a <style> of its own, which goes before.
    """
    top = f"<thead>{head}</thead>" if head else ""
    return HTML(
        f"{STYLE}{style}<div class='study-table'><div class='caption'>{caption}</div><table>{top}<tbody>{body}</tbody></table>"
        f"{below}</div>"
    )
