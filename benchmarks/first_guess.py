"""What networks know before anything is drawn: the first guess against the true colors.

    python benchmarks/first_guess.py FOLDER … --model A.safetensors [B.safetensors …] [--cell 32]

The first guess is x0 as the network estimates it when it has seen nothing of the colors, about the
mean of all colorings; the sampler begins with it (and so, as it does, without noise). Central
squares of the photographs are seen at `--side` px. Estimate and truth are averaged over cells of
`--cell` px, so that networks of different grids can be compared. For each folder and model: the
root mean square distance of the chroma (CIELAB), the share of the colorful cells (true chroma above
8) whose hue is within 30 degrees, how much of the true chroma is left unexplained by the guesses at
the strength that suits them best (as in `unexplained.py`), their mean chroma, and the first three
as differences to the first model, photograph by photograph, with 95 % intervals.
"""
import argparse
from pathlib import Path
import numpy as np
import torch, torch.nn.functional as F
from fastcore.basics import chunked
from colorized.evaluation.folders import list_photos, load_crop
from colorized.inference.colorizer import WEIGHTS
from colorized.model.checkpoint import load_checkpoint
from colorized.photo.lab import rgb_to_L, rgb_to_lab

GROUP = 16
COLORFUL, NEAR = 8, np.cos(np.pi/6) # chroma, cosine of the angle between hues

def guess(net, config, rgb):
    "(N,2,h,w) chroma that the network expects, CIELAB units"
    nothing = torch.zeros(len(rgb), 2, *(o//config.net.factor for o in rgb.shape[2:]))
    schedule,s = config.make_schedule(),config.sampling
    last = schedule.respace(s.steps, s.last_step).timesteps[-1]
    with torch.no_grad():
        ab = config.denoiser(net)(nothing, last.repeat(len(rgb)), net.condition(rgb_to_L(rgb)))
    return ab.float()*config.chroma_scale

def look(net, config, files, side, cell):
    """(n,6) of each photograph: mean squared distance, how many hues are near (or NaN), the mean
    product of guess and truth, of guess and guess, of truth and truth, and the guess's chroma"""
    rows = []
    for group in chunked(files, GROUP):
        rgb = torch.stack([load_crop(f, side)[0] for f in group])/255
        true = rgb_to_lab(F.avg_pool2d(rgb, cell))[:,1:]
        ab = F.adaptive_avg_pool2d(guess(net, config, rgb), side//cell)
        colorful = true.norm(dim=1)>COLORFUL
        near = (F.cosine_similarity(ab, true, dim=1)>NEAR) & colorful
        over = lambda o: o.sum(1).mean((1,2))
        rows.append(torch.stack([
            over((ab-true)**2), near.sum((1,2))/colorful.sum((1,2)), over(ab*true), over(ab**2),
            over(true**2), ab.norm(dim=1).mean((1,2))], 1))
    return torch.cat(rows).double().numpy()

def summarize(rows):
    "Distance, agreement, what is left unexplained"
    product,guessed,true = rows[:,2:5].sum(0)
    return np.array([np.sqrt(rows[:,0].mean()), np.nanmean(rows[:,1]), 1-product**2/guessed/true])

def differences(rows, first, summarize=summarize):
    "(measures,3): differences to the first model, with their intervals"
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(rows), (2000, len(rows)))
    drawn = np.array([summarize(rows[p])-summarize(first[p]) for p in picks])
    ends = np.quantile(drawn, [0.025,0.975], axis=0)
    return np.stack([summarize(rows)-summarize(first), *ends], 1)

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('folders', type=Path, nargs='+')
    p.add_argument('--model', nargs='+', default=['default'], help='default: the packaged one')
    p.add_argument('--side', type=int, default=256, help='pixels, a multiple of 32')
    p.add_argument('--cell', type=int, default=32, help='pixels')
    p.add_argument('--n', type=int, default=400, help='photographs of a folder, evenly spread')
    args = p.parse_args()
    torch.set_num_threads(1)
    paths = [WEIGHTS/'default.safetensors' if o=='default' else o for o in args.model]
    models = [load_checkpoint(o)[:2] for o in paths]
    for folder in args.folders:
        files,first = [*list_photos(folder).values()],None
        files = files[::max(1, len(files)//args.n)][:args.n]
        for name,(net,config) in zip(args.model, models):
            rows = look(net.eval(), config, files, args.side, args.cell)
            distance,hue,unexplained = summarize(rows)
            print(f'{folder.name} ({len(files)}) {name}: {distance:.3f}, hue {hue:.4f}, '
                  f'unexplained {unexplained:.3f}, chroma {rows[:,5].mean():.1f}', end='')
            if first is None: first = rows
            else:
                for o,low,high in differences(rows, first):
                    print(f', {o:+.3f} [{low:+.3f}, {high:+.3f}]', end='')
            print(flush=True)

if __name__=='__main__': main()
