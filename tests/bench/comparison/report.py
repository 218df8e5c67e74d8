"""The results as a table, lines of JSON and a plot; medians of the turns, ratios in one run."""

import html
import json
import math
import statistics
import sys

from comparison import plan
from comparison.servers import BY_NAME, SERVERS


class Medians:
    """Call it for the median over the turns of what `read` takes from the lines; None for none."""

    def __init__(self, results):
        self.results = results

    def _values(self, server, key, read, scenario=None):
        return [read(line) for line in self.results if line["server"] == server
                and line["key"] == key and scenario in (None, line["scenario"])]

    def __call__(self, server, scenario, key, read):
        values = self._values(server, key, read, scenario)
        return statistics.median(values) if values else None

    def worst(self, server, key, read):
        return max(self._values(server, key, read), default=None)

    def failed(self, server, scenario):
        """Whether it did not get through, in any turn."""
        return any(self._values(server, "failed", lambda _: True, scenario))


def _sizes(size):
    by_name = {scenario.name: scenario for scenario in plan.scenarios(size)}
    return {"clients": f"{by_name['room'].clients:,}", "many": f"{by_name['many'].clients:,}",
            "rooms": f"{by_name['rooms'].rooms:,}"}


def _advantage(figure, own, other):
    """How many times better the gateway's value is; None where that says nothing."""
    if own is None or other is None or own <= 0 or other <= 0:
        return None
    return own / other if figure.more_is_better else other / own


def _factor(number):
    return f"{number:.2f}" if number < 10 else f"{number:,.0f}"


def _cell(figure, median, server, own):
    value = median(server.name, figure.scenario, figure.key, figure.read)
    if value is None:
        return "failed" if median.failed(server.name, figure.scenario) else "–"
    text = format(value, figure.form)
    advantage = _advantage(figure, own, value)
    return text if server.name == "gateway" or advantage is None \
        else f"{text} (×{_factor(advantage)})"


def _figures_table(median, shown, sizes):
    yield "| | " + " | ".join(server.title for server in shown) + " |"
    yield "|---" * (len(shown) + 1) + "|"
    for figure in plan.FIGURES:
        own = median("gateway", figure.scenario, figure.key, figure.read)
        cells = [_cell(figure, median, server, own) for server in shown]
        if any(cell != "–" for cell in cells):
            yield f"| {figure.title.format(**sizes)} | " + " | ".join(cells) + " |"


def _tls_table(median):
    yield "| the gateway | plain TCP | TLS | |"
    yield "|---|---|---|---|"
    for figure in plan.TLS_FIGURES:
        plain, tls = (median("gateway", scenario, figure.key, figure.read)
                      for scenario in (figure.scenario, "tls"))
        if plain and tls is not None:
            yield (f"| {figure.title} | {format(plain, figure.form)} | "
                   f"{format(tls, figure.form)} | ×{_factor(tls / plain)} |")


def _publish_table(median):
    yield "| events a second | library | `redis-benchmark`, same script | ratio |"
    yield "|---|---|---|---|"
    for key, title in (("single", "one after the other"), ("bulk", "1,000 on their way")):
        own, other = (median(who, "publish", key, lambda r: r["per_second"])
                      for who in ("library", "redis-benchmark"))
        if own is not None:
            theirs, ratio = (f"{other:,.0f}", f"{own / other:.2f}") if other else ("–", "–")
            yield f"| {title} | {own:,.0f} | {theirs} | {ratio} |"


def _targets_table(median, sizes):
    yield "| target | is to be | is | |"
    yield "|---|---|---|---|"
    for target in plan.TARGETS:
        value = target.read(median)
        if value is None:
            continue
        yield (f"| {target.title.format(**sizes)} | {'≥' if target.at_least else '≤'} "
               f"{target.limit:g} | {target.shown(value)} | "
               f"{'yes' if target.is_met(value) else 'no'} |")


def _failures(results):
    """What did not get through, each once, with the reason of the first turn."""
    failed = {}
    for line in results:
        if line["key"] == "failed":
            failed.setdefault((line["server"], line["scenario"]), line["complaint"])
    for (server, scenario), complaint in failed.items():
        yield ""
        yield f"{_title(server)} did not get through `{scenario}`: {complaint}."


def _title(server):
    return BY_NAME[server].title if server in BY_NAME else server


def _curves(results, size):
    """(what it is over, [(line, [(at, value)])]) for each curve that was measured."""
    for over, scenarios in plan.curves(size).items():
        points = []
        for scenario in scenarios:
            lines = {line["key"]: line for line in results if line["scenario"] == scenario.name}
            if lines and "failed" not in lines:
                points.append((scenario.at, lines | {"scenario": scenario}))
        if points:
            yield over, [(line, [(at, line.read(lines)) for at, lines in points])
                         for line in plan.LINES if line.over == over]


def _curves_table(curves):
    for over, lines in curves:
        yield ""
        yield f"| {over} | " + " | ".join(f"{at:,}" for at, _ in lines[0][1]) + " |"
        yield "|---" * (len(lines[0][1]) + 1) + "|"
        for line, points in lines:
            cells = [format(value, line.form) for _, value in points]
            yield f"| {line.title} | " + " | ".join(cells) + " |"


def _turns(number):
    return "one turn" if number == 1 else f"medians of {number} turns"


def _markdown(about, median, shown, absent, curves):
    name, sizes = about["size"], _sizes(about["size"])
    facts = [f"Linux {about['kernel']}", about["cpu"], about["redis"], about["rust"]]
    facts += [f"{title} {about[key]}" for title, key in (("Node", "node"), ("Bun", "bun"))
              if about[key]]
    yield f"# Results: {about['size']}"
    yield ""
    yield "Written by `tests/bench/run`; what the figures mean is in [README.md](README.md)."
    yield (f"{about['date']}, {sizes['clients']} clients where nothing else is said, "
           f"{_turns(about['turns'])}.")
    yield "; ".join(fact for fact in facts if fact) + "."
    yield ""
    yield "In brackets: how many times better the gateway is, in the same run; below 1 it is worse."
    yield ""
    yield from _figures_table(median, shown, sizes)
    yield ""
    yield f"![How many times better the gateway is]({name}.svg)"
    if curves:
        yield ""
        yield "What one more costs the gateway, by how many there are:"
        yield from _curves_table(curves)
        yield ""
        yield f"![What one more costs]({name}-curves.svg)"
    for table in (_tls_table(median), _publish_table(median), _targets_table(median, sizes)):
        rows = list(table)
        if len(rows) > 2:
            yield ""
            yield from rows
    yield from _failures(median.results)
    for server, why in absent.items():
        yield ""
        yield f"Not here: {_title(server)}, {why}."


COLOURS = {"floor-1": "#888888", "floor-16": "#333333", "bun": "#d62728",
           "socketioxide": "#ff7f0e", "socket.io": "#1f77b4"}
LEFT, WIDTH, ROW, TOP = 390, 520, 24, 74


def _rows_of_plot(median, shown, sizes):
    """(title, {server: advantage}) for each figure that has any."""
    for figure in plan.FIGURES:
        own = median("gateway", figure.scenario, figure.key, figure.read)
        points = {}
        for server in shown:
            value = median(server.name, figure.scenario, figure.key, figure.read)
            advantage = _advantage(figure, own, value)
            if server.name != "gateway" and advantage is not None:
                points[server.name] = advantage
        if figure.plotted and points:
            yield figure.title.format(**sizes), points


def _text(x, y, content, anchor="start", extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>'
            f'{html.escape(content)}</text>')


def _legend(servers):
    x = 20
    for server in servers:
        title = server.title.replace("`", "")
        yield f'<circle cx="{x}" cy="46" r="5" fill="{COLOURS[server.name]}"/>'
        yield _text(x + 9, 50, title)
        x += 30 + 7 * len(title)


def _plot(median, shown, sizes):
    """A row for each figure, a dot for each server; a logarithmic scale, right of 1 is better."""
    rows = list(_rows_of_plot(median, shown, sizes))
    values = [advantage for _, points in rows for advantage in points.values()] + [0.5, 2]
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    height = TOP + ROW * len(rows) + 40

    def at(value):
        return LEFT + WIDTH * (math.log10(value) - low) / (high - low)

    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{height}" '
           f'font-family="sans-serif" font-size="12">')
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield _text(20, 24, "How many times better the gateway is than …", extra='font-size="15"')
    yield from _legend([server for server in shown if server.name != "gateway"])
    for power in range(low, high + 1):
        for step in (1, 2, 5):
            value = step * 10.0 ** power
            if value > 10.0 ** high:
                continue
            stroke = "#000000" if value == 1 else "#bbbbbb" if step == 1 else "#eeeeee"
            yield (f'<line x1="{at(value):.1f}" x2="{at(value):.1f}" y1="{TOP - 8}" '
                   f'y2="{height - 30}" stroke="{stroke}"/>')
            yield _text(at(value), height - 14, f"{value:g}", "middle")
    for i, (title, points) in enumerate(rows):
        y = TOP + ROW * i + 8
        yield _text(LEFT - 12, y + 4, title, "end")
        for server, advantage in points.items():
            yield (f'<circle cx="{at(advantage):.1f}" cy="{y}" r="5" fill="{COLOURS[server]}" '
                   f'fill-opacity="0.85"><title>{_factor(advantage)}</title></circle>')
    yield "</svg>"


PANEL, PANEL_HEIGHT, PANEL_LEFT, PANEL_TOP = 300, 200, 50, 60
LINE_COLOURS = ["#1f77b4", "#d62728", "#2ca02c"]


def _panel(index, over, lines):
    """One curve: against the cost where there are fewest; flat is at 1."""
    left = PANEL_LEFT + index * (PANEL + 60)
    ats = [at for at, _ in lines[0][1]]
    span = math.log(ats[-1] / ats[0]) or 1
    highest = max([2.0, *(value / points[0][1] for _, points in lines
                          for _, value in points if points[0][1] > 0)])

    def place(at, ratio):
        return (left + PANEL * math.log(at / ats[0]) / span,
                PANEL_TOP + PANEL_HEIGHT * (1 - ratio / highest))

    yield _text(left, PANEL_TOP - 14, f"number of {over}", extra='font-weight="bold"')
    for ratio in [step / 2 for step in range(int(highest * 2) + 1)]:
        x, y = place(ats[0], ratio)
        stroke = "#000000" if ratio in (0, 1) else "#dddddd"
        yield f'<line x1="{x:.1f}" x2="{x + PANEL}" y1="{y:.1f}" y2="{y:.1f}" stroke="{stroke}"/>'
        yield _text(x - 6, y + 4, f"{ratio:g}", "end")
    for at in ats:
        yield _text(place(at, 0)[0], PANEL_TOP + PANEL_HEIGHT + 18, f"{at:,}", "middle")
    for number, (line, points) in enumerate(lines):
        base = points[0][1]
        if base <= 0:
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (
            place(at, value / base) for at, value in points))
        colour = LINE_COLOURS[number]
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield _text(left, PANEL_TOP + PANEL_HEIGHT + 40 + 18 * number,
                    f"{line.title}: {format(base, line.form)} at first", extra=f'fill="{colour}"')


def _curves_plot(curves):
    width = PANEL_LEFT + len(curves) * (PANEL + 60)
    height = PANEL_TOP + PANEL_HEIGHT + 100
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'font-family="sans-serif" font-size="12">')
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield _text(PANEL_LEFT, 24, "Cost of one more, against the cost where there are fewest",
                extra='font-size="15"')
    for index, (over, lines) in enumerate(curves):
        yield from _panel(index, over, lines)
    yield "</svg>"


def _put(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(path, file=sys.stderr)


def write(directory, first_line, results, absent):
    about = first_line["about"]
    median = Medians(results)
    measured = {line["server"] for line in results}
    shown = [server for server in SERVERS if server.name in measured]
    directory.mkdir(parents=True, exist_ok=True)
    name = about["size"]
    curves = list(_curves(results, name))
    lines = list(_markdown(about, median, shown, absent, curves))
    _put(directory / f"{name}.md", lines)
    _put(directory / f"{name}.jsonl", map(json.dumps, [first_line, *results]))
    _put(directory / f"{name}.svg", _plot(median, shown, _sizes(about["size"])))
    if curves:
        _put(directory / f"{name}-curves.svg", _curves_plot(curves))
    print("\n".join(lines))
