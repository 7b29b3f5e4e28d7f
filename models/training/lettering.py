"""Words on drawn pictures: what cards and banners say, in the scripts that DejaVu has and in strokes like Chinese."""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import ImageDraw, ImageFont


def words(text: str) -> tuple[str, ...]:
    """Those between the bars."""
    return tuple(word.strip() for word in text.split("|"))


COMING = words("""
    Image coming soon | Photo coming soon | Photos coming soon | No image available | No photo | No picture |
    Awaiting image | Awaiting photos | Image not available | Pictures to follow | Bild folgt | Bilder folgen |
    Kein Bild | Kein Foto vorhanden | Bilder in Kürze | Photo à venir | Pas de photo | Photo non disponible |
    Sin foto | Imagen no disponible | Próximamente | Foto in arrivo | Nessuna immagine | Foto non disponibile |
    Foto em breve | Sem imagem | Geen foto | Foto volgt | Brak zdjęcia | Zdjęcie wkrótce | Bez fotky |
    Foto připravujeme | Fotografie na ceste | Nincs kép | Fără poză | Imagine indisponibilă | Няма снимка |
    Очаквайте снимка | Нет фото | Фото скоро | Немає фото | Без слике | Χωρίς φωτογραφία | Σύντομα κοντά σας |
    Ei kuvaa | Kuva tulossa | Bild saknas | Bild kommer snart | Bilde kommer | Billede på vej | Pilt puudub |
    Nav attēla | Nėra nuotraukos | Fotoğraf yok | Resim yakında | الصورة غير متوفرة | لا توجد صورة |
    تصویر موجود نیست | Không có ảnh | Gambar tidak tersedia | Foto segera | Walang larawan | Hakuna picha | N/A |
    404 | ?
""")
BANNERS = words("""
    SOLD | RESERVED | NEW | SALE | 0% FINANCE | FROM 199 / MONTH | 9,990 | 12 995 € | £7,450 | $18,900 |
    1 299 000 | CERTIFIED | ONE OWNER | FULL HISTORY | 4x4 | AUTOMATIC | DIESEL | VERKAUFT | VENDU | VENDIDO |
    PROMO | OKAZJA | ПРОДАНО | WARRANTY 24 M | CALL 555 0134 | www.dealer.example | JUST ARRIVED | LOW MILES
""")
SYLLABLES = words("au | ro | ve | lo | mi | ta | zen | dor | kia | lex | nor | pe | sa | tu | vo | ra | gen | ix")


@lru_cache(maxsize=None)
def faces() -> tuple[Path, ...]:
    """DejaVu's, which come with matplotlib; the package itself is never imported."""
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return tuple(sorted(path for path in folder.glob("DejaVuS*.ttf") if "Display" not in path.name))


@lru_cache(maxsize=512)
def font(face: int, size: int) -> ImageFont.FreeTypeFont:
    """One of the faces."""
    return ImageFont.truetype(str(faces()[face % len(faces())]), size)


def maker(rng: np.random.Generator) -> str:
    """The name of a make or a dealer that does not exist, as logos have it."""
    name = "".join(rng.choice(SYLLABLES) for _ in range(rng.integers(1, 5)))
    return [name.upper(), name.title(), name.title() + rng.choice([" Motors", " Auto", " Cars", " Group"])][
        rng.integers(3)
    ]


def write(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, text: str, box: tuple[int, int, int, int], ink: tuple
) -> None:
    """As large as fits into `box`, in its middle."""
    left, top, right, bottom = box
    face = int(rng.integers(1000))
    probe = font(face, 64).getbbox(text)
    wide, high = max(1, probe[2] - probe[0]), max(1, probe[3] - probe[1])
    size = int(64 * min((right - left) / wide, (bottom - top) / high))
    if size >= 5:
        draw.text(((left + right) / 2, (top + bottom) / 2), text, fill=ink, font=font(face, size), anchor="mm")


def strokes(draw: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[int, int, int, int], ink: tuple) -> None:
    """Signs that look like Chinese from afar."""
    left, top, right, bottom = box
    side = max(1, bottom - top)
    for k in range(max(1, int((right - left) / (side * 1.1)))):
        x, thick = left + k * side * 1.1, max(1, side // 12)
        for _ in range(rng.integers(4, 9)):
            a, b, c = rng.uniform(0.05, 0.95, 3) * side
            ends = [(x + min(a, b), top + c), (x + max(a, b), top + c + rng.uniform(-0.15, 0.15) * side)]
            if rng.random() < 0.45:
                ends = [(x + c, top + min(a, b)), (x + c + rng.uniform(-0.2, 0.2) * side, top + max(a, b))]
            draw.line(ends, fill=ink, width=thick)


def line(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, text: str, box: tuple[int, int, int, int], ink: tuple
) -> None:
    """Words, one time in eight in strokes."""
    if rng.random() < 0.12:
        strokes(draw, rng, box, ink)
    else:
        write(draw, rng, text.upper() if rng.random() < 0.35 else text, box, ink)
