"""Pictures that packages hold in sheets or in fonts: game tiles, letters, and emoji."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

TILES = Path("/usr/share/crawl/dat/tiles")
SHEETS = ("feat", "floor", "gui", "main", "player", "wall")
"""What they show: features of a dungeon, its floors, symbols, things and creatures, equipment of players, and walls."""
PAVED = ("floor", "wall")
"""Sheets without gaps, of squares of `TILE` pixels."""
TILE = 32
SIDES = range(18, 41)
"""Pixels along both sides of what a connected part of a sheet must have to be one tile."""

EMOJI = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
"""Of Debian's ``fonts-noto-color-emoji`` (SIL-1.1)."""
EMOJI_SIZE, EMOJI_SIDE, EMOJI_PLACE = 109, 160, (12, 16)
"""The one size that the font has, and a square that holds every emoji, which begins there."""
EMOJI_CODES = (*range(0x203C, 0x3300), *range(0x1F000, 0x1FB00))
NO_CODE = 0xE0FFF

FONTS = Path("/usr/share/fonts")
FONT_COUNT = 40


def tiles(sheet: str) -> Iterator[Image.Image]:
    """The tiles of a sheet, with transparency: its squares, or connected parts where there is no grid."""
    picture = Image.open(TILES / f"{sheet}.png").convert("RGBA")
    if sheet in PAVED:
        for top in range(0, picture.height, TILE):
            for left in range(0, picture.width, TILE):
                tile = picture.crop((left, top, left + TILE, top + TILE))
                if min(tile.getchannel("A").getdata()) > 0:
                    yield tile
        return
    parts, _ = ndimage.label(np.asarray(picture.getchannel("A")) > 0, np.ones((3, 3)))
    for rows, columns in ndimage.find_objects(parts):
        if rows.stop - rows.start in SIDES and columns.stop - columns.start in SIDES:
            yield picture.crop((columns.start, rows.start, columns.stop, rows.stop))


def font_files() -> list[Path]:
    """Fonts of Latin letters, evenly chosen among all that are installed, by name."""
    files = sorted(path for kind in ("ttf", "otf") for path in FONTS.rglob(f"*.{kind}") if not path.is_symlink())
    fit = [path for path in files if _has_letters(path)]
    return [fit[round(number)] for number in np.linspace(0, len(fit) - 1, min(FONT_COUNT, len(fit)))]


def _has_letters(path: Path) -> bool:
    """Whether its letters differ from each other and from what stands for one that is missing."""
    try:
        font = ImageFont.truetype(str(path), 24)
    except OSError:
        return False
    if "Symbol" in path.name or path.name.startswith("D050000L"):
        return False
    shapes = {bytes(font.getmask(letter)) for letter in (*ascii_uppercase, "\uffff")}
    return len(shapes) == len(ascii_uppercase) + 1


def letter(path: Path, text: str, side: int) -> Image.Image:
    """A letter, black on white, which fills three quarters of a square."""
    font = ImageFont.truetype(str(path), side)
    left, top, right, bottom = font.getbbox(text)
    scale = 0.75 * side / max(right - left, bottom - top)
    font = ImageFont.truetype(str(path), max(1, round(side * scale)))
    left, top, right, bottom = font.getbbox(text)
    square = Image.new("RGB", (side, side), "white")
    place = ((side - right - left) / 2, (side - bottom - top) / 2)
    ImageDraw.Draw(square).text(place, text, fill="black", font=font)
    return square


def emoji() -> Iterator[Image.Image]:
    """Every emoji of one code, with transparency: people, animals, plants, food, vehicles, things, and symbols."""
    font = ImageFont.truetype(str(EMOJI), EMOJI_SIZE)

    def drawn(code: int) -> Image.Image:
        square = Image.new("RGBA", (EMOJI_SIDE, EMOJI_SIDE))
        ImageDraw.Draw(square).text(EMOJI_PLACE, chr(code), font=font, embedded_color=True)
        return square

    missing = drawn(NO_CODE).tobytes()
    for code in EMOJI_CODES:
        picture = drawn(code)
        if picture.getbbox() and picture.tobytes() != missing:
            yield picture.crop(picture.getbbox())
