"""The mark: the points of each layer, after the run."""
from collections import defaultdict

points = defaultdict(list)


def pytest_runtest_logreport(report):
    if report.when == "call":
        points[report.nodeid.rpartition("[")[2].rstrip("]")].append(report.passed)


def pytest_terminal_summary(terminalreporter):
    for layer, earned in [*points.items(), ("mark", sum(points.values(), []))]:
        terminalreporter.write_line(f"{layer:18}{sum(earned)} of {len(earned)}")
