"""How many photographs a second training sees, and what of its time is not the network's

    python benchmarks/run.py training_speed --csv FILE      # 15 minutes on two cores
    python benchmarks/run.py training_speed FOLDER          # on photographs of your own

The default model goes through `photo_dataloaders` and `diffusion_learner` as `colorized train` runs
them, for `--steps` steps after three of warm-up, in float32 and, where the processor has it, in
bfloat16. `outside` is the share of the time that is not encoder, forward and backward: `data`, the
wait for the next batch, `update`, clipping, optimizer and average, and the rest.

Beside it, at the same size and batch, where it is installed: forward, backward and AdamW of
`denoising-diffusion-pytorch`'s U-Net of about equal parameter count, on chroma at a quarter of the
size with L as a third channel, its batch ready in memory. Compare its images with our
`images_per_second_network_alone`; ours has the encoder in it."""
import statistics, sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.progress import ProgressCallback
from colorized.model.checkpoint import ModelConfig
from colorized.model.unet import ColorNet, has_native_bf16
from colorized.training.examples import Recipe
from colorized.training.learner import diffusion_learner
from colorized.training.loaders import photo_dataloaders
from benchmarks.support.machine import now, on_this_machine
from benchmarks.support.results import Figure, Missing
from benchmarks.support.samples import color_crops

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
    return summary(args, 'colorized', n, bf16, threads, watch.rows[watch.warmup:])

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
    return summary(args, 'denoising-diffusion-pytorch', n, bf16, threads, rows[3:])

def summary(args, name, n_params, bf16, threads, rows):
    "Figures of timed steps"
    total = {k: sum(r.get(k, 0) for r in rows) for k in ('step', 'network', 'data', 'update')}
    n = args.bs*len(rows)
    values = dict(images_per_second=n/total['step'],
                  images_per_second_network_alone=n/(total['network']+total['update']),
                  ms_an_image=statistics.median(1e3*r['step']/args.bs for r in rows))
    if name=='colorized':
        values |= dict(outside=1-total['network']/total['step'], data=total['data']/total['step'],
                       update=total['update']/total['step'])
    what = f"{name}, {n_params/1e6:.1f} M parameters, {'bf16' if bf16 else 'float32'}"
    set = on_this_machine(f'{args.size} px, batches of {args.bs}', threads)
    for k,v in values.items(): yield Figure(f'training speed: {what}', set, len(rows), k, v)

def add_options(p):
    p.add_argument('folder', nargs='?', type=Path,
                   help='color photographs (default: crops of scikit-image\'s)')
    for k,v in dict(size=256, bs=32, steps=20).items():
        p.add_argument(f'--{k}', type=int, default=v)
    p.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    p.add_argument('--workers', type=int, default=2,
                   help='processes that prepare training examples, as in colorized train')

def measure(args):
    "Ours and the other one, in each precision"
    if args.quick: args.size,args.bs,args.steps,args.threads = 128,4,2,[1]
    need = args.bs*(args.steps+4) # one epoch: starting the workers belongs to the warm-up
    folder = args.folder or color_crops(args.tmp/'crops', need*9//8)
    dls = photo_dataloaders(folder, bs=args.bs, recipe=Recipe(size=args.size),
                            num_workers=args.workers)
    if len(dls.train_ds)<need:
        raise Missing(f"{args.steps} steps need {need} photographs, there are "
                      f"{len(dls.train_ds)}: lower --steps or --bs")
    has_peer = bool(find_spec('denoising_diffusion_pytorch'))
    if not has_peer:
        print("the other U-Net is left out: pip install denoising-diffusion-pytorch",
              file=sys.stderr)
    precisions = (False, True) if has_native_bf16(torch.device('cpu')) else (False,)
    n_params = count_parameters(ColorNet(ModelConfig().net).unet)
    for threads,bf16 in ((t, b) for t in args.threads for b in precisions):
        yield from time_ours(dls, args, bf16, threads)
        if has_peer: yield from time_peer(n_params, args, bf16, threads)
