"""One change at a time: train small models with `colorized train` and judge them all on the same
photographs.

`python benchmarks/recipes.py --data DIR --valid DIR --out DIR [NAME …]` goes on where it was
stopped. Each run leaves `NAME.csv`, the log of its training, and a line for each sampler in
`figures.csv`; the notebook in `nbs/experiments` draws them. `…_over` are differences to the first
recipe on the same photographs; with input `worn` the network saw the gray of old film, while the
colors were judged on the clean lightness."""
import argparse, csv, shutil, subprocess, sys
from pathlib import Path
import torch, torch.nn.functional as F
from shared import aged_lightness
from steps import differences

BUDGET = 32_000     # Photographs seen by each run
SIZE = 128          # A quarter of the cells of 256 px: four runs for the price of one
COMMON = ['--size', SIZE, '--decay', '0.998']
BS = 8              # Photographs that are colored together
RECIPES = {         # Name -> what differs from the default
    'default': '',
    'v': '--set param=v',
    'eps': '--set param=eps zero_terminal=0 weight=min_snr',
    'uniform': '--set weight=uniform',
    'min-snr': '--set weight=min_snr',
    'shift-1': '--set shift=1',
    'shift-4': '--set shift=4',
    'coarse': '--set factor=8 patch=1',
    'tuned-encoder': '--set tune=0.1',
    # As many seconds as the default takes, not as many photographs: narrow 11.7, default 14.7,
    # deep 21.9 ms a photograph of 128 px on one core (median of three medians of 10 steps)
    'narrow': '--set widths=64,128,192 --photos 40000',
    'deep': '--set blocks=2 --photos 21300',
    'no-hints': '--set no_hints=1',
    'many-hints': '--set no_hints=0.2',
    'clean': '--set archival=0',
    'lr-3e-4': '--lr 3e-4',
    'lr-12e-4': '--lr 12e-4',
    'seed-1': '--seed 1', # what is luck
    'seed-2': '--seed 2',
    'seed-3': '--seed 3',
    'regression': '--set n_steps=1'}
WAYS = [('clean', 'ddim', 1), ('clean', 'ddim', 4), ('clean', 'ddim', 8), ('clean', 'ddpm', 8),
        ('worn', 'ddim', 4)] # input, sampler, steps
MEASURES = ['fid', 'kid', 'two_sample', 'top1_agreement', 'colorfulness', 'delta_e2000', 'psnr']
COMMAND = 'import sys; from colorized.cli.main import main; sys.exit(main())'

def train(name, out, data, valid, threads):
    "Train one recipe, unless that is done"
    run = out/name
    if (out/f'{name}.csv').exists(): return
    cmd = [sys.executable, '-c', COMMAND, 'train', '--data', data, '--valid', valid, '--out', run,
           '--photos', BUDGET, '--workers', 1, '--threads', threads, *COMMON,
           *RECIPES[name].split()]
    if (run/'state.pt').exists():
        cmd.append('--resume')
    subprocess.run(list(map(str, cmd)), check=True)
    shutil.copy(run/'log.csv', out/f'{name}.csv')

def sample(c, conds, sampler, steps):
    "Chroma of encoded batches by the network alone, without first guess and agreement"
    from colorized.model.sampling import sample_chroma
    settings = c.settings.changed(sampler=sampler, steps=steps, temperature=1.)
    out = []
    for i,cond in enumerate(conds):
        seeds = [BS*i+k for k in range(len(cond))]
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=c.bf16):
            out.append(sample_chroma(c.denoise, c.config, cond, seeds, settings).float())
    return torch.cat(out)

def paint(model, inputs, L):
    """Yields the way and (N,3,H,W) uint8 colors

    The network sees `SIZE` px, its chroma is joined with the lightness `L`."""
    from colorized.inference.colorizer import Colorizer
    from colorized.photo.lab import combine_to_rgb, to_uint8
    from colorized.photo.resampling import up_chroma
    c = Colorizer.from_pretrained(model, 'cpu')
    def encode(x):
        return [c.condition(F.interpolate(o, (SIZE,SIZE), mode='area')) for o in x.split(BS)]
    conds = {k: encode(x) for k,x in inputs.items()}
    for way in WAYS:
        seen,sampler,steps = way
        if steps>len(c.schedule): continue
        ab = sample(c, conds[seen], sampler, steps)
        rgb = [to_uint8(combine_to_rgb(l, up_chroma(a, L.shape[-2:])))
               for l,a in zip(L.split(BS), ab.split(BS))]
        yield way,torch.cat(rgb)

def row(name, way, rgb, evaluator, reference):
    "A line of `figures.csv`"
    observations = evaluator.observe(rgb)
    figures = evaluator.summarize(rgb, observations=observations)
    out = dict(recipe=name, **dict(zip(('input','sampler','steps'), way)), n=len(rgb))
    out |= {m: f'{figures[m].value:.4g}' for m in MEASURES}
    for m in ('kid','two_sample'):
        out |= {f'{m}_low': f'{figures[m].low:.4g}', f'{m}_high': f'{figures[m].high:.4g}'}
    return out | differences(evaluator, observations, reference)

def append_rows(path, rows):
    new = not path.exists()
    with path.open('a', newline='') as f:
        w = csv.DictWriter(f, list(rows[0]))
        if new: w.writeheader()
        w.writerows(rows)

class Jury:
    "The photographs to judge on, and what the first recipe makes of them"
    def __init__(self, folder, n, first):
        from colorized.evaluation.folders import list_photos, load_crop
        from colorized.evaluation.report import Evaluator
        from colorized.photo.lab import rgb_to_L, to_uint8
        files = list(list_photos(folder).values())
        files = files[::max(1, len(files)//n)][:n]
        true = to_uint8(torch.stack([load_crop(f, 256)[0] for f in files]))
        self.L,self.evaluator = rgb_to_L(true),Evaluator(true)
        self.inputs = dict(clean=self.L, worn=aged_lightness(true, range(len(true))))
        painted = paint(first, self.inputs, self.L)
        self.references = {way: self.evaluator.observe(rgb) for way,rgb in painted}
    def rows(self, name, model):
        return [row(name, way, rgb, self.evaluator, self.references[way])
                for way,rgb in paint(model, self.inputs, self.L)]

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('names', nargs='*', help=f"recipes, of {', '.join(RECIPES)} (default: all)")
    p.add_argument('--data', required=True)
    p.add_argument('--valid', required=True)
    p.add_argument('--out', type=Path, required=True)
    p.add_argument('--n', type=int, default=250, help='photographs to judge on')
    p.add_argument('--threads', type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    table,first,jury = args.out/'figures.csv',next(iter(RECIPES)),None
    for name in [first, *(o for o in args.names or RECIPES if o!=first)]:
        train(name, args.out, args.data, args.valid, args.threads)
        if table.exists() and name in {r['recipe'] for r in csv.DictReader(table.open())}: continue
        if jury is None:
            jury = Jury(args.valid, args.n, args.out/first/'model.safetensors')
        rows = jury.rows(name, args.out/name/'model.safetensors')
        append_rows(table, rows)
        for r in rows: print(*r.values(), flush=True)

if __name__=='__main__': main()
