"""Color the photographs of the home page and the gallery again: `python tools/gallery.py`, after
every change of the weights or of what is made of them.

Writes pictures and the pages' sliders to `nbs/images/gallery`, from one table: which photographs
there are, where they stand and what is wrong with them. Then look at `runs/gallery.webp`: only what
a stranger would keep belongs to `HERO`, on the home page, and each remark must be true. When they
are, put the model's hash, which this prints, into `LOOKED_AT`. Until then the gallery leaves the
remarks out and says so. An AI model that saw the pictures enlarged wrote them (see `SAID`)."""
import html, shutil
from pathlib import Path
from typing import NamedTuple
from PIL import Image

root = Path(__file__).resolve().parent.parent
images = root/'nbs/images'
out = images/'gallery'
SEEDS = 3              # Colorings of each photograph; the sliders show the first, seed 0
LOOKED_AT = '873ad217' # The model, by its hash, of which the remarks below speak
LARGE,SMALL = (600, 520),(300, 260) # What the first coloring and those of further seeds fit into

class Photo(NamedTuple):
    name: str      # nbs/images/NAME.jpg
    caption: str   # What it is, and when
    alt: str       # What is to be seen on it, for those who cannot see it
    kept: bool     # Would one keep the coloring?
    remark: str    # What a critical look finds, for the gallery

PHOTOS = [
    Photo('riverfront-1931', 'New York riverfront, 1931',
          'Skyscrapers behind a wide river, wooden piles in front', True,
          'The sky is plausible, and so is the stone, if nearly gray. But the crowns of the '
          'middle and the tallest tower, the slim towers at the left and, a little, the second '
          'pile are bluish like the sky, and the water, gray with a trace of blue, hardly reflects '
          'it. The other seeds differ little; their water is a shade more violet, and seed 2 makes '
          'the top of one small tower greenish.'),
    Photo('taos-pueblo-1941', 'Church at Taos Pueblo, New Mexico, about 1941',
          'An adobe gateway with a cross, a church door behind it', True,
          'The sky is blue (a shade more violet with the other seeds), duller between the two '
          'crosses. The adobe is a dull khaki, yellower with seed 1. The top of the large cross is '
          'yellow, paler with seed 2, and the pillar at the right has a brownish spot; the other '
          "seeds make it nearly all brown, seed 1 the cross's beam yellowish brown, too."),
    Photo('cyclists-1895', 'Three cyclists, 1895',
          'Two women hold up a laughing third one on a bicycle', True,
          'Grass and dark blue-gray cloth are plausible; two faces and the hands at the right '
          'are pink, the left face paler, the hands below it grayish. One leg above its shoe and '
          'the background beside the middle face are pinkish, too, a hat brim is pale orange. '
          'Seed 1 makes one sleeve pinkish, seed 2 the brim grayer; both gray the left skirt.'),
    Photo('buffalo-1908', 'Buffalo, New York, about 1908',
          'A corner building with turrets at a wide street', True,
          'The sky is plausible, a shade more violet with seed 2; stone, street and shops are a '
          'brownish gray, a little browner with the other seeds. The finials are bluish with '
          'every seed; so is the turret at the left edge, less with the others, which turn the '
          'dome behind bluish, too.'),
    Photo('nipomo-1936', 'Pea picker, Nipomo, California, 1936',
          'A worried woman, two children hide their faces at her shoulders', True,
          'Skin, hair and cloth are plausible, if nearly all brown. The face is redder than the '
          'arm, the skin in the neckline grayish. The dark green at the upper left is invented: '
          'other seeds make it browner. Seed 1 makes the arm yellower, seed 2 the chin a colder '
          "pink, both a child's fist pinker."),
    Photo('street-doctor-1877', 'Street doctor, London, 1877',
          'A man sells remedies from a folding table, two people listen', True,
          'With the brown of the print gone, the dark violet-gray coat and the olive-brown '
          'brick are plausible, but most of the rest is still beige or brown. The face '
          'behind the table is pink, part of the face at the right reddish, the bare arm there '
          'almost gray. The other seeds make the pink face grayer, seed 2 the most, and the '
          'brick browner.'),
    Photo('spinning-1907', 'Spinning, Donegal, 1907',
          'A girl at a spinning wheel before a thatched cottage, hens in front', False,
          "The hill is brownish olive, most else brownish like a sepia print: the girl's face "
          "has hardly more color than the stones. The woman's reddish-brown sleeve stains the door "
          'post. Other seeds redden her sleeves and scarf, seed 2 the hens, too; it makes the '
          "girl's apron bluish, seed 1 the hill grayer and a corner of the mount bluish."),
    Photo('cliff-house-1890', 'Cliff House, San Francisco, 1890',
          'People on a beach, a great house on the cliff above them', False,
          'The rock is olive brown, but the roof is reddish on the left and tan on the right, '
          'the sea is nearly as beige as the sand, a dull olive farther out, and the sky stays '
          'white. The people have almost no color, but for one dark blue dress and one tan spot; '
          'with the other seeds the dress is nearly black, the spot gray. Else these hardly '
          'differ.'),
    Photo('wagons-1860s', 'Wagons in a wood, American Civil War',
          'Covered wagons between tall pines, grass in front', False,
          'Grass and leaves are plausible, but most trunks, the smoke at the right and even parts '
          'of the sky are greenish, too, and so, a little, is the road. The other seeds are '
          'browner, seed 2 the most, and their road is beige. Seed 1 makes the beige wagon covers '
          'a pale gray-green, seed 2 patches of the sky bluish.'),
    Photo('campus-1910', 'University of Idaho, postcard, 1910',
          'A long brick building with a tower behind bare trees', False,
          "The sky is plausible, but the brick is a dull brown to olive, the tower's turrets and "
          "the left chimney are bluish, and the bare trees' green haze spills over wall and roof. "
          'The olive lawn is green with seed 1, that chimney greenish with both other seeds; '
          'seed 2 makes its foot reddish, the haze yellower.'),
    Photo('bon-marche-1875', 'Le Bon Marché, Paris, 1875',
          'A department store with a curved staircase under a glass roof', False,
          'Little more than a sepia print: wood, floor and cloth are all brownish, and the '
          'glass roof is cream; only the dark corner at the lower left is a little bluish, hardly '
          'with the other seeds. Else these differ little: seed 1 makes a lamp yellow and the roof '
          'whiter, seed 2 a few wares yellow to orange.'),
    Photo('dust-storm-1930s', 'Dust storm over the Great Plains, 1930s',
          'A wall of dust behind a small building with a square tower', False,
          'The dust is slate blue, like a thundercloud, and the bare-looking ground has become a '
          'lawn: plausible, and wrong. The roof has turned olive, too, and the sign a little '
          'pinkish. The other seeds do the same, with grayer dust; seed 1 makes the small shed '
          'a little redder, seed 2 the sign pinker.'),
]

HERO = [o for o in PHOTOS if o.name in ('riverfront-1931', 'taos-pueblo-1941', 'nipomo-1936')]
HERO_ALT = ('Three old photographs above, the same in invented color below. '
            +' '.join(f'{o.alt}.' for o in HERO))

def colorize_photos():
    """Each photograph, its pictures and the hash of the model

    The pictures are the photograph itself, the coloring of seed 0, as the command makes it with
    its defaults, and those of further seeds."""
    import torch
    from colorized import Colorizer
    torch.set_num_threads(1)
    colorizer = Colorizer.from_pretrained(device='cpu')
    for p in PHOTOS:
        path = images/f'{p.name}.jpg'
        result = colorizer.colorize(path, n_samples=SEEDS)
        pics = [Image.open(path).convert('RGB'), *map(result.image, range(SEEDS))]
        for i,o in enumerate(pics): o.thumbnail(LARGE if i<2 else SMALL, Image.LANCZOS)
        yield p, pics, colorizer.sha256[:8]

def slider(p, size):
    """The markup of one slider

    styles.css and compare.html make it move; without them, and on paper, it is a picture."""
    caption,alt,(w,h) = html.escape(p.caption),html.escape(p.alt),size
    picture = f'src="images/gallery/{p.name}-0.webp" width="{w}" height="{h}"'
    before = f'src="images/gallery/{p.name}.webp" width="{w}" height="{h}"'
    unchanged = 'The same photograph as it is, without color'
    label = f'{caption}: how much of the original to show'
    return f'''<figure class="compare-figure" style="--ratio: {w/h:.3f}">
<div class="compare">
<img {picture} alt="{alt}; in invented color">
<img class="compare-before" {before} alt="{unchanged}">
<span class="compare-line"></span>
<input type="range" min="0" max="100" value="50" aria-label="{label}">
</div>
<figcaption>{caption}</figcaption>
</figure>'''

def entry(p, pics, looked):
    """The markup of one photograph of the gallery

    Its slider, what a critical look finds, a link that colors it in the visitor's own tab, and what
    other seeds give."""
    caption = html.escape(p.caption)
    seeds = ''.join(f'<img src="images/gallery/{p.name}-{i}.webp" width="{o.width}" '
                    f'height="{o.height}" alt="{caption}, colored with seed {i}">\n'
                    for i,o in enumerate(pics[2:], 1))
    remark = f'<p>{html.escape(p.remark)}</p>\n' if looked else ''
    about = f'{caption}: color it in this browser'
    link = f'<p><a href="try.html#{p.name}" aria-label="{about}">Color it in this browser</a></p>\n'
    return f'''<div class="gallery-entry">
{slider(p, pics[0].size)}
<div class="gallery-side">
{remark}{link}<figure class="gallery-seeds">
<div>
{seeds}</div>
<figcaption>the same with other seeds, {' and '.join(map(str, range(1, SEEDS)))}</figcaption>
</figure>
</div>
</div>'''

def strip(columns, height, gap):
    "A row of columns of pictures; each column's stand above each other"
    widths = [round(o[0].width*height/o[0].height) for o in columns]
    n = max(map(len, columns))
    row = Image.new('RGB', (sum(widths)+gap*(len(columns)-1), n*(height+gap)-gap), 'white')
    x = 0
    for w,column in zip(widths, columns):
        for j,o in enumerate(column):
            row.paste(o.resize((w, height), Image.LANCZOS), (x, j*(height+gap)))
        x += w+gap
    return row

def sheet(rows, height=230, gap=6):
    "Rows of columns of pictures, each row as wide as the widest"
    strips = [strip(row, height, gap) for row in rows]
    total = max(o.width for o in strips)
    strips = [o.resize((total, round(o.height*total/o.width)), Image.LANCZOS) for o in strips]
    tall = sum(o.height for o in strips)+2*gap*(len(strips)-1)
    page,y = Image.new('RGB', (total, tall), 'white'),0
    for o in strips:
        page.paste(o, (0, y))
        y += o.height+2*gap
    return page

HELP = ('<p class="compare-help">Drag a line, or move it with the arrow keys: the photograph on '
        'its left, invented color on its right.</p>')
SAID = {True: 'The remarks were written by an AI model that saw the pictures enlarged, not by a '
              'person.',
        False: '<strong>These pictures have no remarks yet</strong>: those that were here spoke of '
               'an earlier model.'}

def write_pages(folder, kept, rest, model):
    "What the pages include"
    looked = model==LOOKED_AT
    sliders = [slider(p, pics[0].size) for p,pics in kept if p in HERO]
    grid = '\n'.join(['<div class="compare-grid">', *sliders, '</div>', HELP])
    (folder/'home.html').write_text(grid+'\n', 'utf-8')
    for name,some in dict(kept=kept, failed=rest).items():
        entries = [entry(p, pics, looked) for p,pics in some]
        (folder/f'{name}.html').write_text('\n'.join(entries)+'\n', 'utf-8')
    said = (f'<p class="gallery-model" data-model="{model}">{SAID[looked]} '
            f'Model <code>{model}</code>.</p>\n')
    (folder/'model.html').write_text(said, 'utf-8')

def chunked(items, n): return [items[i:i+n] for i in range(0, len(items), n)]

def main():
    new = out.with_name('gallery.tmp')
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    done = list(colorize_photos())
    model = done[0][2]
    for p,pics,_ in done:
        for o,suffix in zip(pics, ['', *(f'-{i}' for i in range(SEEDS))]):
            o.save(new/f'{p.name}{suffix}.webp', quality=68, method=6)
    kept = [(p, pics) for p,pics,_ in done if p.kept]
    rest = [(p, pics) for p,pics,_ in done if not p.kept]
    write_pages(new, kept, rest, model)
    best = [pics[:2] for p,pics in kept if p in HERO]
    sheet([best], height=300).save(new/'home.webp', quality=80, method=6)
    (root/'runs').mkdir(exist_ok=True)
    everything = [pics for _,pics,_ in done]
    sheet(chunked(everything, 6)).save(root/'runs/gallery.webp', quality=85, method=6)
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    size = sum(f.stat().st_size for f in out.iterdir())/1e6
    print(f"{len(done)} photographs, {SEEDS} seeds, {size:.1f} MB in {out.relative_to(root)}, "
          f"model {model}")
    if model!=LOOKED_AT:
        print("Look at runs/gallery.webp, correct the table in tools/gallery.py, "
              f"set LOOKED_AT = '{model}' and run this again.")

if __name__ == '__main__': main()
