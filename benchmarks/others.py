"""How far colorings of any systems are from the true colors, and from each other

    python benchmarks/run.py others TRUE OURS DDCOLOR DEOLDIFY --csv FILE
    python benchmarks/run.py others --cut HAVC DEOLDIFY OUT

The folders hold pictures of the same names and shapes. Chroma (CIELAB) is averaged over 64×64
cells of the central square. A folder's colorings a are multiplied by the one number that suits
them best, `best_times`. Of the truth b they leave `unexplained` 1 - (Σab)²/(Σa²Σb²), the sums over
all cells of all pictures: 0 for true colors of any strength, 1 for colors that have nothing to do
with the truth. So a timid system is not mistaken for an ignorant one. `chroma` is their mean
strength, `delta_e2000` the mean distance. Differences (`…_change`) are to the first folder of
colorings, with 95 % bootstrap intervals over pictures. KID is what `colorized evaluate` says.

`--cut` writes what other systems made of 23 modern photographs to OUT/modern, a folder for each
and `true` for the photographs, all with the lightness of the true photograph, and DeOldify's
results of 52 old ones to OUT/old/deoldify. HAVC is a clone of dan64/vs-deoldify, DEOLDIFY one of
jantic/DeOldify whose history is whole. Color `true` and `old/deoldify` with `colorized`, which
sees their lightness only."""
from pathlib import Path
import numpy as np
import torch.nn.functional as F
from colorized.evaluation.color import delta_e
from colorized.evaluation.folders import list_photos, load_crop
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import rgb_to_lab
from benchmarks.support import comparisons
from benchmarks.support.clones import located
from benchmarks.support.coloring import interval
from benchmarks.support.results import Figure, Missing
from benchmarks.support.samples import color_crops

CELLS, DRAWS = 64, 2000

def chroma(path):
    "(2,64,64) CIELAB"
    rgb = load_crop(path)[0][None]/255
    return F.adaptive_avg_pool2d(rgb_to_lab(rgb)[:,1:], CELLS)[0]

class Products:
    "Σab, Σa² and Σb² of each picture"
    def __init__(self, true, colored):
        theirs,ours = list_photos(colored),list_photos(true)
        if set(theirs)!=set(ours):
            odd = sorted(set(theirs)^set(ours))[0]
            raise ValueError(f'{odd} is in one of {true} and {colored} only')
        pairs = [(chroma(theirs[o]), chroma(ours[o])) for o in sorted(ours)]
        self.delta_e = np.array([delta_e(*(load_crop(k[o])[0][None] for k in (theirs, ours))).item()
                                 for o in sorted(ours)])
        self.chroma,self.true_chroma = [
            np.mean([o[i].norm(dim=0).mean() for o in pairs]) for i in (0, 1)]
        sums = [((a*b).sum(), a.square().sum(), b.square().sum()) for a,b in pairs]
        self.ab,self.aa,self.bb = np.array(sums, np.float64).T
    def unexplained(self, rows=slice(None)):
        return 1-self.ab[rows].sum()**2/(self.aa[rows].sum()*self.bb[rows].sum())
    def best(self): return self.ab.sum()/self.aa.sum()

def difference(one, other):
    "one - other, and its interval"
    rng,n = np.random.default_rng(0),len(one.ab)
    apart = lambda rows: one.unexplained(rows)-other.unexplained(rows)
    drawn = [apart(rng.integers(0, n, n)) for _ in range(DRAWS)]
    return apart(slice(None)),*np.quantile(drawn, [0.025, 0.975])

def colored(true, out):
    "The folder `out`: the photographs of `true`, colored with the defaults"
    c = Colorizer.from_pretrained(device='cpu')
    out.mkdir()
    for o in sorted(true.iterdir()): c.colorize(o).save(out/o.name)
    return out

def grayed(true, out):
    "The folder `out`: the photographs of `true` with a third of their chroma"
    from PIL import Image, ImageEnhance
    out.mkdir()
    for o in sorted(true.iterdir()):
        ImageEnhance.Color(Image.open(o).convert('RGB')).enhance(0.3).save(out/o.name)
    return out

def add_options(p):
    p.add_argument('true', type=Path, nargs='?')
    p.add_argument('colored', type=Path, nargs='*')
    p.add_argument('--cut', type=Path, nargs=3, metavar=('HAVC', 'DEOLDIFY', 'OUT'))

def measure(args):
    if args.cut:
        havc,deoldify,out = args.cut
        comparisons.modern(located(havc), out/'modern')
        comparisons.old(located(deoldify), out/'old'/'deoldify')
        return
    if args.quick:
        args.true = color_crops(args.tmp/'true', 6, 256, kind='png')
        args.colored = [f(args.true, args.tmp/k) for k,f in
                        dict(colorized=colored, paler=grayed).items()]
    if not args.colored: raise Missing("needs the true photographs and folders of colorings")
    found = {o: Products(args.true, o) for o in args.colored}
    first = found[args.colored[0]]
    for folder,o in found.items():
        def figure(*values):
            return Figure(f'others: {folder.name}', args.true.name, len(o.ab), *values)
        yield figure('unexplained', o.unexplained())
        yield figure('best_times', o.best())
        yield figure('chroma', o.chroma)
        yield figure('delta_e2000', o.delta_e.mean(), *interval(o.delta_e))
        if o is not first:
            yield figure('unexplained_change', *difference(o, first))
            apart = o.delta_e-first.delta_e
            yield figure('delta_e2000_change', apart.mean(), *interval(apart))
    yield Figure('others: true colors', args.true.name, len(first.ab), 'chroma', first.true_chroma)
