"""What color hints are worth: how much a true color, given as a hint, puts right elsewhere

    python benchmarks/run.py hints VALID --csv FILE
    python benchmarks/run.py hints VALID --only correction --reach 8 16 --csv FILE

Each photograph (shorter side 256, central square) is colored from its lightness alone, then with
1, 4, 16, 64 hints: points at random places, each with the mean true color of its 4×4 pixels, given
as a user gives them (`hint_grid`, default radius). Seeds and places are those of the photograph's
number, so that all columns are paired. A *correction* is one hint of the true color where the
coloring without hints is most wrong, as large as a brush (8 pixels around): what people do with
hints. The network alone is the same without `hint_influence`; `--reach` tries other values of it.
The baseline paints the same hints' chroma over the coloring without hints, at their cells only:
what a hint is worth if it does not spread.

`hint_gain` is by how much ΔE2000 of the whole photograph falls, `elsewhere` the error of the chroma
on the cells that no hint covers, `moved` the share of cells whose chroma is more than 15 from that
without hints, `covered` the share that hints cover, `worse` that of the photographs whose ΔE2000
rises."""
import numpy as np, torch, torch.nn.functional as F
from colorized.evaluation.color import delta_e, psnr
from colorized.evaluation.folders import load_crop
from colorized.inference.colorizer import Colorizer
from colorized.inference.hints import hint_grid
from colorized.photo.lab import combine_to_rgb, rgb_to_lab, to_uint8
from colorized.photo.resampling import up_chroma
from benchmarks.support.coloring import interval, name_of, photographs
from benchmarks.support.results import Figure
from benchmarks.support.samples import color_crops

KS = 0, 1, 4, 16, 64

def points(rgb, k, rng):
    "k hints [(x, y, color), …] at different cells, with the photograph's own colors"
    mean = F.avg_pool2d(rgb[None].float(), 4)[0]
    cells = rng.permutation(mean.shape[1]*mean.shape[2])[:k]
    color = lambda y, x: tuple(mean[:,y,x].round().int().tolist())
    return [(4*x+2, 4*y+2, color(y, x)) for y,x in zip(*divmod(cells, mean.shape[2]))]

def correction(rgb, wrong):
    "One hint in the true color of the 20×20 pixels where the chroma is most wrong on average"
    y,x = divmod(int(F.avg_pool2d(wrong, 5, 1, 2).flatten().argmax()), wrong.shape[-1])
    small = F.avg_pool2d(rgb[None].float(), 4)
    mean = F.avg_pool2d(small, 5, 1, 2, count_include_pad=False)[0,:,y,x]
    return [(4*x+2, 4*y+2, tuple(mean.round().int().tolist()), 8)]

def measured(ab, L, rgb, true, free, plain):
    """PSNR and ΔE2000 of the whole picture, and what became of the rest

    Root mean square distance of chroma where no hint lies, and how much is other than without."""
    out = to_uint8(combine_to_rgb(L, up_chroma(ab, L.shape[-2:], L)))
    off = (ab-true).pow(2).sum(1, keepdim=True)
    elsewhere = off[free].mean().sqrt().item() if free.any() else float('nan')
    moved = ((ab-plain).norm(dim=1)>15).float().mean().item()
    return dict(psnr=psnr(out, rgb).item(), delta_e2000=delta_e(out, rgb).mean().item(),
                elsewhere=elsewhere, moved=moved)

def photograph(c, rgb, i, reach=(), only=()):
    "All rows of one photograph"
    L,ab = rgb_to_lab(rgb[None]).split((1,2), 1)
    true,small = F.avg_pool2d(ab, 4),F.avg_pool2d(L, 4)
    cond,rng = c.condition(L),np.random.default_rng(i)
    where,plain = points(rgb, max(KS), rng),c.sample(cond, [i])
    wrong = (plain-true).pow(2).sum(1, keepdim=True)
    kinds = {k: where[:k] for k in KS} # the first k of them are the k hints
    kinds['correction'] = correction(rgb, wrong)
    if only: kinds = {k: v for k,v in kinds.items() if not k or str(k) in only}
    figures = lambda x, free: measured(x, L, rgb[None], true, free, plain)
    for k,hints in kinds.items():
        if not hints:
            everywhere = torch.ones_like(small)>0
            yield dict(k=k, how='no hints', covered=0., **figures(plain, everywhere))
            continue
        grid = hint_grid(hints, rgb.shape[1:], true.shape[-2:], small)
        hinted,mask = c.condition(L, grid),grid[:,2:]>0
        covered = mask.float().mean().item()
        ways = {'hints': c.sample(hinted, [i], plain=plain),
                'the network alone': c.sample(hinted, [i], hint_reach=0.),
                'at their cells only': torch.where(mask, grid[:,:2], plain)}
        for tau in reach:
            ways[f'reach {tau:g}'] = c.sample(hinted, [i], plain=plain, hint_reach=tau)
        for how,x in ways.items():
            yield dict(k=k, how=how, covered=covered, **figures(x, ~mask))

def summary(rows, set, weights):
    "Means over the photographs, with intervals"
    def get(k, how, m):
        return np.array([r[m] for r in rows if r['k']==k and r['how']==how])
    without = get(0, 'no hints', 'delta_e2000')
    for k,how in dict.fromkeys((r['k'], r['how']) for r in rows):
        values = {m: get(k, how, m)
                  for m in ('delta_e2000', 'psnr', 'elsewhere', 'moved', 'covered')}
        gain = without-values['delta_e2000']
        values |= dict(hint_gain=gain, worse=(gain<0).astype(float)) if k else {}
        hints = k if k=='correction' else f"{k} point{'s'*(k>1)}"
        what = f'{hints}, {how}' if k else how
        for m,v in values.items():
            v = v[~np.isnan(v)] # of a photograph that hints cover wholly nothing is elsewhere
            yield Figure(f'hints: {what}', set, len(v), m, v.mean(), *interval(v), weights)

def add_options(p):
    p.add_argument('folder', nargs='?', help='color photographs')
    p.add_argument('--model', help='checkpoint (default: the packaged one)')
    p.add_argument('--n', type=int, default=100, help='photographs, evenly spread')
    p.add_argument('--reach', type=float, nargs='*', default=(), help='other `hint_reach`')
    p.add_argument('--only', nargs='*', default=(), help='of 1, 4, 16, 64, correction')

def measure(args):
    torch.set_num_threads(1)
    if args.quick: args.folder,args.n = color_crops(args.tmp/'samples', 6, 300),6
    c,files = Colorizer.from_pretrained(args.model, 'cpu'),photographs(args.folder, args.n)
    rows = [r for i,f in enumerate(files.values())
            for r in photograph(c, load_crop(f, 256)[0], i, args.reach, args.only)]
    yield from summary(rows, name_of(args.folder, 256), c.sha256[:8])
