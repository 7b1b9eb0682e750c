"""Digits drawn by a program, as people photograph them: turned, thick and thin, on grey paper."""
import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def arc(x, y, rx, ry, start, end):
    """Points of an ellipse about (x, y), angles in degrees, 0 to the right and 90 down."""
    angles = np.radians(np.linspace(start, end, 40))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def line(*points):
    return np.array(points, float)


STROKES = [      # in a box of width and height 1, y downwards; several ways to write a digit
    [[arc(.5, .5, .32, .5, -90, 270)], [arc(.5, .5, .24, .5, -70, 290)]],
    [[line((.5, 0), (.5, 1))], [line((.3, .25), (.55, 0), (.55, 1))]],
    [[arc(.5, .28, .3, .28, -170, 30), line((.76, .42), (.2, 1), (.85, 1))]],
    [[arc(.47, .25, .28, .25, -160, 90), arc(.47, .74, .33, .26, -90, 160)]],
    [[line((.6, 0), (.15, .65), (.9, .65)), line((.65, .35), (.65, 1))],
     [line((.25, 0), (.2, .5), (.8, .5)), line((.8, 0), (.75, 1))]],
    [[line((.8, 0), (.3, 0), (.26, .42)), arc(.48, .68, .32, .32, -135, 150)]],
    [[line((.65, 0), (.4, .25), (.24, .65)), arc(.5, .72, .28, .28, -180, 180)]],
    [[line((.15, 0), (.85, 0), (.4, 1))],
     [line((.15, 0), (.85, 0), (.4, 1)), line((.35, .5), (.8, .5))]],
    [[arc(.5, .25, .24, .25, 90, 450), arc(.5, .75, .3, .25, -90, 270)]],
    [[arc(.5, .28, .27, .28, 0, 360), line((.77, .28), (.72, .65), (.55, 1))],
     [arc(.5, .28, .27, .28, 0, 360), line((.77, .28), (.77, 1))]],
]


def photograph(digit, rng):
    """An image of one digit, of a size of its own."""
    size, angle = rng.integers(90, 260), np.radians(rng.uniform(-15, 15))
    width = rng.uniform(0.05, 0.17) * size
    ways = STROKES[digit]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    frame = np.array([rng.uniform(1.5, 2.2) * size, rng.uniform(1.5, 2.2) * size]).astype(int)
    middle = frame / 2 + rng.uniform(-0.12, 0.12, 2) * size
    scale = size * np.array([rng.uniform(0.6, 0.85), 1])
    paper, ink = rng.uniform(0.55, 0.85), rng.uniform(0.05, 0.3)
    mask = Image.new("L", tuple(frame), 0)
    pen = ImageDraw.Draw(mask)
    for stroke in ways[rng.integers(len(ways))]:
        wobble = rng.normal(0, 0.015, stroke.shape) if len(stroke) < 10 else 0
        points = (stroke - 0.5 + wobble) * scale @ turn + middle
        pen.line([tuple(p) for p in points], fill=255, width=round(width), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    mask = np.asarray(mask.filter(ImageFilter.GaussianBlur(1)), float) / 255
    rows, columns = np.mgrid[-1:1:frame[1] * 1j, -1:1:frame[0] * 1j]
    light = 1 + rng.uniform(-0.1, 0.1) * rows + rng.uniform(-0.1, 0.1) * columns
    image = (paper + (ink - paper) * mask) * light + rng.normal(0, 0.02, mask.shape)
    return Image.fromarray((255 * image.clip(0, 1)).astype(np.uint8))
