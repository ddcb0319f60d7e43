"""Colour the photographs of the home page and the gallery again: `python tools/gallery.py`, about 20 seconds, after every change of the weights.

Writes pictures and the pages' sliders to `nbs/images/gallery`, from one table: which photographs there are, where they stand and what is wrong with
them. Look at `runs/gallery.webp` afterwards: only what a stranger would keep belongs on the home page, and each remark must still be true."""
import html, sys
from pathlib import Path
from typing import NamedTuple
from PIL import Image

root = Path(__file__).resolve().parent.parent
images = root/'nbs/images'
out = images/'gallery'

class Photo(NamedTuple):
    name: str      # nbs/images/NAME.jpg
    caption: str   # What it is, and when
    alt: str       # What is to be seen on it, for those who cannot see it
    home: bool     # On the home page? The first one stands there large
    remark: str    # What a critical look finds, for the gallery

PHOTOS = [
    Photo('riverfront-1931', 'New York riverfront, 1931', 'Skyscrapers behind a wide river, wooden piles in front', True,
          'Sky, water and stone as one expects them; one tower is bluer than its neighbours for no reason.'),
    Photo('taos-pueblo-1941', 'Church at Taos Pueblo, New Mexico, about 1941', 'An adobe gateway with a cross, a church door behind it', True,
          'Adobe and sky: the model has seen many like them.'),
    Photo('cyclists-1895', 'Three cyclists, 1895', 'Two women hold up a laughing third one on a bicycle', True,
          'Skin is warm, the bicycle is blue: pleasant, and pure invention.'),
    Photo('spinning-1907', 'Spinning, Donegal, 1907', 'A girl at a spinning wheel before a thatched cottage, hens in front', True,
          'The thatch is too red and the hens are as brown as the stones.'),
    Photo('street-doctor-1877', 'Street doctor, London, 1877', 'A man sells remedies from a folding table, two people listen', True,
          'The brown of the print is removed first; what comes back is cautious.'),
    Photo('wagons-1860s', 'Wagons in a wood, American Civil War', 'Covered wagons between tall pines, grass in front', True,
          'Wood and grass are right; that the canvas is red is a guess.'),
    Photo('campus-1910', 'University of Idaho, postcard, 1910', 'A long brick building with a tower behind bare trees', False,
          'Timid: brick, lawn and sky carry only a hint of colour.'),
    Photo('bon-marche-1875', 'Le Bon Marché, Paris, 1875', 'A department store with a curved staircase under a glass roof', False,
          'Interiors get little colour: brown where the model does not know.'),
    Photo('cliff-house-1890', 'Cliff House, San Francisco, 1890', 'People on a beach, a great house on the cliff above them', False,
          'The roof is red in one half only; sand and sea are nearly gray.'),
    Photo('buffalo-1908', 'Buffalo, New York, about 1908', 'A corner building with turrets at a wide street', False,
          'A blue stain on the facade where the model could not decide.'),
    Photo('nipomo-1936', 'Pea picker, Nipomo, California, 1936', 'A worried woman, two children hide their faces at her shoulders', False,
          'The forearm is blue. Nobody would call that a likely colour.'),
    Photo('dust-storm-1930s', 'Dust storm over the Great Plains, 1930s', 'A wall of dust behind a small wooden building', False,
          'The dust is painted as blue sky: confident, plausible and wrong.'),
]

def colour(size=(720, 620), first=(1080, 760)):
    "Each photograph and its colouring, as the command makes it with its defaults, reduced to fit `size`; the first one to fit `first`"
    import torch
    from colorized import Colorizer
    torch.set_num_threads(1)
    colorizer = Colorizer.from_pretrained(device='cpu')
    for p in PHOTOS:
        path = images/f'{p.name}.jpg'
        pair = Image.open(path).convert('RGB'), colorizer.colorize(path).image()
        for o in pair: o.thumbnail(first if p is PHOTOS[0] else size, Image.LANCZOS)
        yield p, pair

def slider(p, size):
    "The markup of one slider: styles.css and compare.html make it move; without them, and on paper, it is a picture"
    caption, alt = html.escape(p.caption), html.escape(p.alt)
    return f'''<figure class="compare-figure" style="--ratio: {size[0]/size[1]:.3f}">
<div class="compare">
<img src="images/gallery/{p.name}-colour.webp" width="{size[0]}" height="{size[1]}" alt="{alt}; in invented colour">
<img class="compare-before" src="images/gallery/{p.name}.webp" width="{size[0]}" height="{size[1]}" alt="The same photograph as it is, without colour">
<span class="compare-line"></span>
<input type="range" min="0" max="100" value="50" aria-label="{caption}: how much of the original to show">
</div>
<figcaption>{caption}</figcaption>
</figure>'''

def sheet(pairs, height=230, gap=6, columns=4):
    "Originals above, colourings below, for README.md and for looking at all of them"
    rows = [pairs[i:i+columns] for i in range(0, len(pairs), columns)]
    width = lambda row, h: [round(o[0].width*h/o[0].height) for o in row]
    total = max(sum(width(row, height))+gap*(len(row)-1) for row in rows)
    strips = []
    for row in rows:
        w = width(row, height)
        strip = Image.new('RGB', (sum(w)+gap*(len(row)-1), 2*height+gap), 'white')
        for k,pair in enumerate(row):
            for j,o in enumerate(pair): strip.paste(o.resize((w[k], height), Image.LANCZOS), (sum(w[:k])+gap*k, j*(height+gap)))
        strips.append(strip.resize((total, round(strip.height*total/strip.width)), Image.LANCZOS))
    page = Image.new('RGB', (total, sum(o.height for o in strips)+2*gap*(len(strips)-1)), 'white')
    y = 0
    for o in strips: page.paste(o, (0, y)); y += o.height+2*gap
    return page

def main():
    out.mkdir(exist_ok=True)
    for f in out.iterdir(): f.unlink()
    done = list(colour())
    for p,pair in done:
        for o,suffix in zip(pair, ('', '-colour')): o.save(out/f'{p.name}{suffix}.webp', quality=78, method=6)
    home, rest = ([(p, pair) for p,pair in done if p.home is at] for at in (True, False))
    grid = lambda some, cls='': f'<div class="compare-grid{cls}">\n' + '\n'.join(slider(p, pair[0].size) for p,pair in some) + '\n</div>\n'
    (out/'home.html').write_text(grid(home, ' compare-home') + '<p class="compare-help">Drag a line, or move it with the arrow keys: the photograph on its left, invented colour on its right.</p>\n', 'utf-8')
    for name,some in dict(kept=home, failed=rest).items():
        remarks = ''.join(f'<tr><td>{html.escape(p.caption)}</td><td>{html.escape(p.remark)}</td></tr>\n' for p,_ in some)
        (out/f'{name}.html').write_text(grid(some) + f'<table class="compare-remarks"><thead><tr><th>photograph</th><th>a critical look</th></tr></thead><tbody>\n{remarks}</tbody></table>\n', 'utf-8')
    sheet([pair for p,pair in home], columns=3).save(out/'home.webp', quality=80, method=6)
    (root/'runs').mkdir(exist_ok=True)
    sheet([pair for p,pair in done]).save(root/'runs/gallery.webp', quality=85, method=6)
    return f"{len(done)} photographs, {sum(f.stat().st_size for f in out.iterdir())/1e6:.1f} MB in {out.relative_to(root)}"

if __name__ == '__main__': print(main())
