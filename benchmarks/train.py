"""How many photographs a second does training see, and what share of its time goes to anything but
the network?

    python benchmarks/train.py [FOLDER] [--size 256] [--bs 32] [--steps 20] [--json FILE] [--quick]

The default model goes through `photo_dataloaders` and `diffusion_learner` as `colorized train` runs
them, for `--steps` steps after three of warm-up. Network means: encoder, forward and backward.
Beside it, in the same run, at the same size and batch: forward, backward and AdamW of
`denoising-diffusion-pytorch`'s U-Net of about equal parameter count, on chroma at a quarter of the
size (64×64) with L as a third channel, its batch ready in memory (a quarter of the steps will do
there). Needs `pip install 'colorized[bench,train]'`.
"""
import argparse, json, statistics, sys, tempfile, time
from collections import Counter
from pathlib import Path
import numpy as np, torch
from PIL import Image
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.progress import ProgressCallback
from colorized.model.checkpoint import ModelConfig
from colorized.model.unet import has_native_bf16
from colorized.training.examples import Recipe
from colorized.training.learner import diffusion_learner
from colorized.training.loaders import photo_dataloaders
from shared import described, machine

now = time.perf_counter

def sample_crops(folder, n, side=400, seed=0):
    """`n` JPEG crops of the color photographs that scikit-image and scikit-learn carry

    For who has no folder at hand."""
    from skimage import data
    from sklearn.datasets import load_sample_images
    arrays = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    whole = [Image.fromarray(o) for o in (*arrays, *load_sample_images().images)]
    rng = np.random.default_rng(seed)
    for i in range(n):
        im = whole[i%len(whole)]
        w,h = [int(rng.uniform(0.6, 1)*min(im.size)) for _ in range(2)]
        left,top = int(rng.integers(im.width-w+1)),int(rng.integers(im.height-h+1))
        size = side*w//min(w, h),side*h//min(w, h)
        im = im.crop((left, top, left+w, top+h)).resize(size, Image.BICUBIC)
        im.save(Path(folder)/f'{i:04d}.jpg', quality=90)

class Stopwatch(Callback):
    "Where the time of each training step goes; ends the fit after `warmup+steps`"
    # last: the average has been copied when `before_fit` hangs hooks on the network
    order,name = 90,'stopwatch'
    def __init__(self, steps, warmup=3): self.steps,self.warmup,self.rows = steps,warmup,[]
    def before_fit(self):
        begin,end = lambda *_: self.begin('network'),lambda *_: self.end('network')
        self.hooks = []
        for m in (self.model.encoder, self.model.unet):
            self.hooks += [m.register_forward_pre_hook(begin), m.register_forward_hook(end)]
    def after_fit(self):
        for h in self.hooks: h.remove()
    def begin(self, what): self.since = now()
    def end(self, what): self.row[what] += now()-self.since
    def before_train(self): self.tick = now()
    def before_backward(self): self.begin('network')
    def after_backward(self): self.end('network')
    def after_batch(self):
        if not self.training: return
        self.row['step'] = now()-self.tick
        self.rows.append(self.row)
        self.fresh()
        if len(self.rows)==self.warmup+self.steps: raise CancelFitException()
    def fresh(self): self.row,self.tick = Counter(),now()

class Arrival(Callback):
    "Notes when a batch has come, before anything else is done with it"
    order = -90
    def __init__(self, watch): self.watch = watch
    def before_train(self): self.watch.fresh()
    def before_batch(self):
        if self.training: self.watch.row['data'] = now()-self.watch.tick
    def before_step(self): self.watch.begin('update')       # gradient clipping,
    def after_batch(self):
        if self.training: self.watch.end('update')          # optimizer and average

def count_parameters(net): return sum(p.numel() for p in net.parameters())

def time_ours(dls, args, bf16, threads):
    "Time steps of the default model in a real learner"
    torch.set_num_threads(threads)
    watch = Stopwatch(args.steps)
    learn = diffusion_learner(dls, ModelConfig(), bf16=bf16, cbs=[watch, Arrival(watch)])
    learn.remove_cbs(ProgressCallback)
    with learn.no_logging(): learn.fit(10_000)
    n = count_parameters(learn.model.unet)
    return summary('colorized', n, bf16, threads, args.bs, watch.rows[watch.warmup:])

def peer_network(n_params):
    "`denoising-diffusion-pytorch`'s U-Net with the width that comes nearest to `n_params`"
    from denoising_diffusion_pytorch import Unet
    make = lambda dim: Unet(dim, channels=3, out_dim=2)
    with torch.device('meta'):
        dim = min(range(16, 97, 4), key=lambda o: abs(count_parameters(make(o))-n_params))
    return make(dim)

def time_peer(n_params, args, bf16, threads):
    "Time forward, backward and update of the other U-Net"
    torch.set_num_threads(threads)
    net = peer_network(n_params)
    opt = torch.optim.AdamW(net.parameters(), 6e-4, fused=True)
    x,t = torch.randn(args.bs, 3, args.size//4, args.size//4),torch.randint(1000, (args.bs,))
    y,rows = x[:,:2],[]
    for _ in range(3+max(2, args.steps//4)): # every step is alike: a few do
        start = now()
        with torch.autocast('cpu', torch.bfloat16, enabled=bf16): out = net(x, t)
        (out.float()-y).square().mean().backward()
        middle = now()
        opt.step()
        opt.zero_grad()
        rows.append(dict(step=now()-start, network=middle-start, update=now()-middle))
    n = count_parameters(net)
    return summary('denoising-diffusion-pytorch', n, bf16, threads, args.bs, rows[3:])

def summary(name, n_params, bf16, threads, bs, rows):
    total = {k: sum(r.get(k, 0) for r in rows) for k in ('step','network','data','update')}
    share = {k: total[k]/total['step'] for k in ('network','data','update')}
    ms = [1e3*r['step']/bs for r in rows]
    n = bs*len(rows)
    return dict(network=name, parameters=n_params, precision='bf16' if bf16 else 'float32',
                threads=threads, images_per_second=n/total['step'],
                network_and_update_per_second=n/(total['network']+total['update']),
                ms_median=statistics.median(ms), ms_min=min(ms), outside=1-share['network'],
                data=share['data'], update=share['update'], steps=len(rows))

HEAD = ('U-Net', 'parameters', 'precision', 'threads', 'images/s',
        'network and update alone, images/s', 'ms an image, median (min)',
        'outside the network', 'of it data', 'of it update')

def table(rows):
    "Markdown"
    yield f"| {' | '.join(HEAD)} |"
    yield '|'+'---|'*len(HEAD)
    for r in rows:
        own = r['network']=='colorized'
        shares = [f'{r[k]:.1%}' if own else '–' for k in ('outside','data','update')]
        cells = [r['network'], f"{r['parameters']/1e6:.1f} M", r['precision'], str(r['threads']),
                 f"{r['images_per_second']:.1f}", f"{r['network_and_update_per_second']:.1f}",
                 f"{r['ms_median']:.1f} ({r['ms_min']:.1f})", *shares]
        yield f"| {' | '.join(cells)} |"

def parser():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder', nargs='?', type=Path,
                   help='color photographs (default: crops of sample photographs)')
    p.add_argument('--size', type=int, default=256)
    p.add_argument('--bs', type=int, default=32)
    p.add_argument('--steps', type=int, default=20)
    p.add_argument('--threads', type=int, nargs='+', default=[1,2])
    p.add_argument('--workers', type=int, default=2,
                   help='processes that prepare training examples, as in colorized train')
    p.add_argument('--json', type=Path)
    p.add_argument('--quick', action='store_true', help='a smoke test: the figures mean nothing')
    return p

def measure(dls, args):
    "Ours and the other one, in each precision"
    rows = []
    precisions = (False, True) if has_native_bf16(torch.device('cpu')) else (False,)
    for threads,bf16 in ((t, b) for t in args.threads for b in precisions):
        rows.append(time_ours(dls, args, bf16, threads))
        rows.append(time_peer(rows[-1]['parameters'], args, bf16, threads))
        for r in rows[-2:]:
            speed = f"{r['images_per_second']:.1f} images/s"
            print(r['network'], r['precision'], threads, speed, file=sys.stderr)
    return rows

def main():
    p = parser()
    args = p.parse_args()
    if args.quick: args.size,args.bs,args.steps,args.threads = 128,4,2,[1]
    about = machine()
    with tempfile.TemporaryDirectory() as tmp:
        folder = args.folder or Path(tmp)
        need = args.bs*(args.steps+4) # one epoch: starting the workers belongs to the warm-up
        if not args.folder: sample_crops(folder, need*9//8)
        recipe = Recipe(size=args.size)
        dls = photo_dataloaders(folder, bs=args.bs, recipe=recipe, num_workers=args.workers)
        if len(dls.train_ds)<need:
            p.error(f"{args.steps} steps need {need} photographs, there are {len(dls.train_ds)}: "
                    "lower --steps or --bs")
        rows = measure(dls, args)
    print(f"{described(about)}; {args.size} px, batches of {args.bs}, {args.steps} steps, "
          f"{args.workers} workers\n")
    print(*table(rows), sep='\n')
    precision = rows[-1]['precision']
    worst = max(r['outside'] for r in rows
                if r['network']=='colorized' and r['precision']==precision)
    print(f"\nOutside the network in {precision}: at most {worst:.1%} "
          f"(aim: under 15 %: {'met' if worst<0.15 else 'not met'})")
    if args.json:
        settings = {k: str(v) for k,v in vars(args).items()}
        found = dict(machine=about, settings=settings, rows=rows)
        args.json.write_text(json.dumps(found, indent=1))

if __name__ == '__main__': main()
