"""What all pictures share: colours for all eyes, and markers that tell classes apart in grey print."""

TRAIN, VALIDATION = "#0072B2", "#D55E00"    # blue and vermilion (Okabe and Ito 2008, Color Universal Design)

# Petroff 2021, Accessible color sequences for data visualization. Ten colours and seven markers, with no
# common divisor, make seventy classes that all look different.
COLORS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581",
          "#92dadd")
MARKERS = "os^DvPX"


def new_axes(count=1, width=4.5, height=3.4):
    """The Axes of a new figure as a flat array: ``count`` panels, up to three in a row, none overlapping."""
    from matplotlib import pyplot as plt

    columns = min(count, 3)
    rows = -(-count // columns)
    figure = plt.figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]
