"""Are colour hints worth giving? True colours of photographs as hints, and how much of the rest they put right.

    python benchmarks/hints.py FOLDER [--model FILE] [--n 100] [--csv nbs/experiments/hints.csv]

Each photograph (shorter side 256, central square) is coloured from its lightness alone, then with 1, 4, 16, 64 hints: points at random places,
each with the mean true colour of its 4×4 pixels, given as a user gives them (`hint_grid`, default radius). Seeds and places are those of the
photograph's number, so that all columns are paired. The baseline paints the same hints' chroma over the colouring without hints, at their cells
only: what a hint is worth if it does not spread. `elsewhere` is the error on the cells that no hint covers.
"""
import argparse, csv, time
from pathlib import Path
import numpy as np, torch, torch.nn.functional as F
from colorized.colorizer import STEPS, Colorizer, hint_grid
from colorized.lab import join, rgb_to_lab, up_chroma
from colorized.metrics import delta_e, list_photos, load_crop, psnr, to_uint8

KS = 0, 1, 4, 16, 64

def points(rgb, k, rng):
    "k hints [(x, y, colour), …] at different cells, with the photograph's own colours"
    mean = F.avg_pool2d(rgb[None].float(), 4)[0]
    cells = rng.permutation(mean.shape[1]*mean.shape[2])[:k]
    return [(4*x+2, 4*y+2, tuple(mean[:,y,x].round().int().tolist())) for y,x in zip(*divmod(cells, mean.shape[2]))]

def measured(ab, L, rgb, true, free):
    "PSNR and ΔE2000 of the whole picture, rms distance of chroma where no hint lies"
    out = to_uint8(join(L, up_chroma(ab, L.shape[-2:], L)))
    off = (ab-true).pow(2).sum(1, keepdim=True)
    return dict(psnr=psnr(out, rgb).item(), delta_e=delta_e(out, rgb).mean().item(), elsewhere=(off[free].mean().sqrt().item() if free.any() else float('nan')))

def photograph(c, rgb, i):
    "All rows of one photograph"
    L,ab = rgb_to_lab(rgb[None]).split((1,2), 1)
    true,small = F.avg_pool2d(ab, 4),F.avg_pool2d(L, 4)
    cond,rng = c.condition(L),np.random.default_rng(i)
    where = points(rgb, max(KS), rng)                                  # the first k of them are the k hints
    grids = [hint_grid(where[:k], rgb.shape[1:], true.shape[-2:], small) for k in KS]
    look = [c.condition(L, g).hints if k else None for k,g in zip(KS, grids)]
    plain = c.chroma(cond, [i])
    for k,g,h in zip(KS, grids, look):
        mask = g[:,2:]>0
        spread = c.chroma(cond.with_hints(h), [i]) if k else plain
        for how,x in (('hints', spread), ('at their cells only', torch.where(mask, g[:,:2], plain))):
            yield dict(k=k, how=how, covered=mask.float().mean().item(), **measured(x, L, rgb[None], true, ~mask))

def summary(rows):
    "Means over the photographs, and the standard error of the paired gain in ΔE2000 against no hints"
    n = len(rows)//(2*len(KS)); get = lambda k,how,m: np.array([r[m] for r in rows if r['k']==k and r['how']==how])
    for k in KS:
        for how in ('hints', 'at their cells only') if k else ('hints',):
            gain = get(0, 'hints', 'delta_e')-get(k, how, 'delta_e')
            yield dict(k=k, how=how if k else 'no hints', n=n, covered=f"{get(k, how, 'covered').mean():.4f}", psnr=f"{get(k, how, 'psnr').mean():.2f}",
                       delta_e=f"{get(k, how, 'delta_e').mean():.2f}", gain=f"{gain.mean():.2f}", gain_se=f"{gain.std(ddof=1)/n**0.5:.2f}", elsewhere=f"{get(k, how, 'elsewhere').mean():.2f}")

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder'); p.add_argument('--model'); p.add_argument('--n', type=int, default=100); p.add_argument('--threads', type=int, default=1)
    p.add_argument('--csv', type=Path, default=Path(__file__).resolve().parents[1]/'nbs/experiments/hints.csv')
    args = p.parse_args(); torch.set_num_threads(args.threads)
    c,files = Colorizer.from_pretrained(args.model, 'cpu'),list(list_photos(args.folder).values())
    files = files[::max(1, len(files)//args.n)][:args.n]
    rows = [r for i,f in enumerate(files) for r in photograph(c, load_crop(f, 256)[0], i)]
    table = list(summary(rows))
    with args.csv.open('w', newline='') as f: w = csv.DictWriter(f, list(table[0])); w.writeheader(); w.writerows(table)
    print(f"{len(files)} photographs of {Path(args.folder).name}, {STEPS} steps, one sample each, {c}, {time.strftime('%Y-%m-%d', time.gmtime())}\n")
    print('| hints | how | of the cells | PSNR ↑ | ΔE2000 ↓ | gain in ΔE2000 | chroma off elsewhere ↓ |\n|---:|---|---:|---:|---:|---:|---:|')
    for r in table: print(f"| {r['k']} | {r['how']} | {float(r['covered']):.1%} | {r['psnr']} | {r['delta_e']} | {r['gain']} ± {r['gain_se']} | {r['elsewhere']} |")

if __name__=='__main__': main()
