"""What a reference is worth: chroma left unexplained with and without, and calibration

    python benchmarks/run.py references PAIRS --csv FILE [--only a b1 …]

PAIRS is a folder with `pairs.json`, a list of {set, group, reference, target, box}, and the color
photographs that it names; support/reference_pairs.csv says which ours were. Where `reference` is
null, the left half of the target is the reference for its right half. Sets: a, the other half of
the photograph; b1, the same thing or place on the same day; b2, the same thing elsewhere; b3, the
same place on another day; c, another thing of the same kind. For d every target of a and b1 gets
the reference of the next group.

The network sees the target's lightness at a shorter side of 256 px, seed 0. Chroma is compared
per cell of 4 px. Left unexplained is 1 - (Σab)²/(Σa²Σb²), the sums over all cells of a set (as in
the benchmark *others*), `inside` only over boxes. `…_change` is with less without, `…_ratio` with
by without. Calibration: the gap between the probability and the share of cells of 8 px whose chroma
is right within 10, mean over ten bins; sets a, b1, b2 and d. Intervals: bootstrap over groups."""
import json
from collections import defaultdict
from pathlib import Path
import numpy as np, torch, torch.nn.functional as F
from PIL import Image
from colorized.inference.colorizer import Colorizer
from colorized.evidence.matching import NEAR
from colorized.evidence.references import Reference
from colorized.model.sampling import working_shape
from colorized.photo.lab import rgb_to_lab
from benchmarks.support.results import Figure, Missing
from benchmarks.support.samples import color_photographs

SIDE,DRAWS = 256,2000

def lab_of(image):
    "(1,3,h,w) CIELAB at a shorter side of 256 px"
    h,w = working_shape(image.size[::-1], SIDE, min_size=SIDE)
    small = image.convert('RGB').resize((w, h), Image.Resampling.BOX, reducing_gap=3.)
    return rgb_to_lab(torch.from_numpy(np.array(small)).permute(2,0,1)[None])

def halves(image):
    "(left, right)"
    w,h = image.size
    return image.crop((0, 0, w//2, h)),image.crop((w//2, 0, w, h))

def read_pairs(folder, only):
    "(set, group, reference, target, box) of each"
    path = Path(folder or '')/'pairs.json'
    if folder is None or not path.exists():
        raise Missing("needs a folder with pairs.json (or --quick)")
    for o in json.loads(path.read_text('utf-8')):
        if only and o['set'] not in only: continue
        target = Image.open(path.parent/o['target'])
        named = o['reference']
        pair = (Image.open(path.parent/named), target) if named else halves(target)
        yield o['set'],o['group'],*map(lab_of, pair),o['box']

def unrelated(pairs):
    "Each target of a and b1 with the reference of the next group"
    some = [o for o in pairs if o[0] in ('a', 'b1')]
    for i,(_,group,_,target,box) in enumerate(some):
        others = (some[(i+k)%len(some)] for k in range(1, len(some)))
        other = next((o for o in others if o[1]!=group), None)
        if other: yield 'd',group,other[2],target,box

def sums(a, b, box):
    "Σab, Σa², Σb² over all cells, and over those of the box"
    whole = [(x*y).sum().item() for x,y in ((a,b), (a,a), (b,b))]
    if box is None: return whole,None
    h,w = a.shape[2:]
    x0,y0,x1,y1 = (round(v*n) for v,n in zip(box, (w, h, w, h)))
    cut = lambda o: o[...,y0:max(y0+1, y1),x0:max(x0+1, x1)]
    return whole,sums(cut(a), cut(b), None)[0]

class Pair:
    "What was measured of one"
    def __init__(self, c, set, group, reference, target, box, plain):
        self.set,self.group,L = set,group,target[:,:1]
        true = F.avg_pool2d(target[:,1:], 4)
        e = c.references(Reference(reference, 'reference')).evidence(L)
        ab = c.sample(c.condition(L, evidence=e.grid(tuple(true.shape[2:]))), [0])
        self.told,self.plain = sums(ab, true, box),sums(plain, true, box)
        off = (e.ab-F.avg_pool2d(true, 2)).norm(dim=1)
        self.p,self.right = e.probability.flatten(),(off<NEAR).flatten().float()

def unexplained(parts):
    "(…,3) sums -> share that is left"
    ab,aa,bb = np.moveaxis(np.asarray(parts), -1, 0)
    return 1-ab**2/(aa*bb)

def by_group(pairs, which):
    "(groups,2,3): sums with and without the reference; `which`: 0 whole, 1 box"
    groups = defaultdict(lambda: np.zeros((2, 3)))
    for o in pairs:
        if o.told[which]: groups[o.group] += np.array([o.told[which], o.plain[which]])
    return np.stack(list(groups.values())) if groups else None

def compared(parts):
    "{metric: (value, low, high)} with bootstrap intervals over groups"
    rows = np.random.default_rng(0).integers(len(parts), size=(DRAWS, len(parts)))
    told,plain = unexplained(parts.sum(0))
    drawn = unexplained(parts[rows].sum(1))
    told_,plain_ = drawn.T
    ends = lambda v: np.quantile(v, (0.025, 0.975)) if len(parts)>4 else (None, None)
    return dict(unexplained=(told, *ends(told_)), unexplained_without=(plain, *ends(plain_)),
                unexplained_change=(told-plain, *ends(told_-plain_)),
                unexplained_ratio=(told/plain, *ends(told_/plain_)))

def calibration(pairs):
    "Ten bins: (share of cells, mean probability, share that is right)"
    p,right = (torch.cat([getattr(o, k) for o in pairs]) for k in ('p', 'right'))
    number = (p*10).long().clamp(max=9)
    for b in range(10):
        inside = number==b
        if inside.any():
            means = inside.float().mean(),p[inside].mean(),right[inside].mean()
            yield [o.item() for o in means]

def summary(pairs, weights):
    for name in dict.fromkeys(o.set for o in pairs):
        some = [o for o in pairs if o.set==name]
        for which,where in enumerate(('', 'inside_')):
            parts = by_group(some, which)
            if parts is None: continue
            n = sum(o.told[which] is not None for o in some)
            for metric,values in compared(parts).items():
                yield Figure(f'references: {name}', f'{len(parts)} groups', n, where+metric,
                             *values, weights)
    some = [o for o in pairs if o.set in ('a', 'b1', 'b2', 'd')]
    bins,cells = list(calibration(some)),sum(len(o.p) for o in some)
    error = sum(share*abs(p-right) for share,p,right in bins)
    yield Figure('references: calibration', 'a, b1, b2, d', cells, 'calibration_error', error,
                 weights=weights)
    for i,(share,p,right) in enumerate(bins):
        yield Figure(f'references: calibration bin {i}', 'a, b1, b2, d', max(1, round(share*cells)),
                     f'right_at_{p:.3f}', right, weights=weights)

def add_options(p):
    p.add_argument('folder', nargs='?', metavar='PAIRS', help='folder with pairs.json')
    p.add_argument('--only', nargs='*', default=(), help='some of the sets a, b1, b2, b3, c')

def measure(args):
    torch.set_num_threads(1)
    if args.quick:
        pairs = [('a', str(i), *map(lab_of, halves(o)), None)
                 for i,o in enumerate(color_photographs())]
    else:
        pairs = list(read_pairs(args.folder, args.only))
    c,measured,plain = Colorizer.from_pretrained(device='cpu'),[],{}
    for set,group,reference,target,box in [*pairs, *unrelated(pairs)]:
        key = id(target)
        if key not in plain: plain[key] = c.sample(c.condition(target[:,:1]), [0])
        measured.append(Pair(c, set, group, reference, target, box, plain[key]))
    yield from summary(measured, c.sha256[:8])
