"""Training of the default model for days, with stops, out of a set of photographs that may grow.

    python benchmarks/long_run.py train SET RUN --valid VAL [--threads 1] [--workers 1] [--compile]
    python benchmarks/long_run.py look RUN --valid VAL [--also default] [--out FILE.safetensors]
    python benchmarks/long_run.py branch SET RUN BRANCH --valid VAL --photos 12800
    python benchmarks/long_run.py row REPORT.json TABLE.csv --photos 64000 --protocol TEXT

SET comes from `photographs.py`. `train` begins with the weights inside the package, or goes on
where RUN was left. When SET has grown meanwhile, a new epoch begins. The learning rate is constant,
so that no budget has to be known beforehand. For the same reason large crops do not wait for the
end: of every 64,000 photographs 85 % are seen at 128 px, the others then at 256 px. Without these
a run was no better at 256 px after 461,000 photographs more (Experiments).

`look` says what the averaged weights of RUN lose on VAL, and `--also` what a checkpoint does.

`branch` copies RUN as it is to BRANCH and lets the learning rate fall to 0 over so many
photographs, all at 256 px; the averaging begins anew. What such a branch is worth is what the long
run is worth at that point. With `--set small=192 small_share=0.8` the first 80 % are seen at 192 px
and at the full rate, which falls over the rest.

`row` adds to a table what `colorized evaluate --json` said of a checkpoint.

With `--compile` the frozen encoder runs in OpenVINO where that is installed. On one thread, in
bfloat16, a photograph of 256 px takes 4.4 ms, four at a time; compiled by PyTorch 15 ms, 32 at a
time (CPU time of one run each, on a busy machine).

`train` and `branch` can be stopped at any moment. SIGTERM and Ctrl-C save the state first, other
stops lose what has been learned since the last save.
"""
import argparse
import csv
import json
import os
import re
import shutil
import signal
import time
from functools import partial
from pathlib import Path
import torch, torch.nn.functional as F
from torch import nn
from fastai.callback.core import Callback
from colorized.inference.colorizer import WEIGHTS
from colorized.training.examples import Recipe
from colorized.training.sources import Subset
from colorized.training.loaders import photo_dataloaders
from colorized.training.run import RunCallback, read_state
from colorized.training.learner import diffusion_learner
from colorized.training.train import train
from colorized.model.unet import ColorNet, has_native_bf16
from colorized.model.checkpoint import load_checkpoint, save_checkpoint
from photographs import Pack
try:
    import openvino
except ModuleNotFoundError:
    openvino = None

BS = 32
SETTINGS = dict(no_hints='0.35') # as the packaged weights were trained
PERIOD = 64_000                  # photographs, small ones first, then large ones
KINDS = dict( # which repositories hold these
    people='bearpaw/|axelcarlier/|bana513/|mateusrafael4/|RlNZLER/|quantumnaan/|VikramShenoy97/'
           '|Jitesh17/|ashishodu2023/|MSEDdataset/|mzahid36/|brianhuster/|jolignier/|marellanoc/'
           '|mukammilbasha/',
    scenes='RlNZLER/|nhantd/|akshay993/|Yorkbenno/|jw995/|michael5511b/|emanhamed/'
           '|shubhankarm01/|myhorsevideo1-boop/|HaoPeiwen/|JBlitzar/')

def size(run):
    "Side of the crops at this point of a run, in place of `RunCallback.size`"
    recipe = run.dls.train_ds.recipe
    return recipe.size if run.photos%PERIOD>=recipe.small_share*PERIOD else recipe.small

class Diary(Callback):
    "Writes the mean loss of every `every` batches to `diary.csv`"
    order,name = 80,'diary'
    def __init__(self, every=50): self.every,self.losses,self.since = every,[],time.time()
    def after_batch(self):
        if not self.training: return
        self.losses.append(self.loss.item())
        if len(self.losses)<self.every: return
        run,now = self.learn.this_run,time.time()
        row = dict(time=time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), photographs=run.photos,
                   size=self.dls.train_ds.size, lr=f'{run.rate:.3g}',
                   loss=f'{sum(self.losses)/len(self.losses):.5f}',
                   per_second=f'{len(self.losses)*BS/(now-self.since):.2f}')
        append(run.out/'diary.csv', row)
        self.losses,self.since = [],now

class Compiled(Callback):
    "Compiles the network that is trained; the averaged one stays as it is"
    order,name = 13,'compiled' # after `EMACallback`
    def before_fit(self):
        encoder,unet = self.model.encoder,self.model.unet
        torch._inductor.config.freezing = True # joins each convolution with its ReLU
        if openvino: encoder.forward = OpenVINOEncoder(encoder)
        else: encoder.forward = torch.no_grad()(torch.compile(encoder.forward, dynamic=False))
        quicken(unet)
        unet.compile(dynamic=False)

class OpenVINOEncoder:
    "`Encoder.forward` for squares, a few photographs at a time"
    rows = 4 # 1 to 16 take 4.4 to 5.0 ms each, 32 take 8.0: the early maps leave the caches
    def __init__(self, encoder):
        self.strides,self.sides = tuple(encoder.channels),{} # side -> what infers
        self.maps = nn.Module()
        self.maps.encoder = encoder.eval()
        forward = encoder.forward # that of now, whose place this takes
        self.maps.forward = lambda L: tuple(forward(L)[s] for s in self.strides)
    def open(self, side):
        "What infers squares of a side"
        shape = self.rows,1,side,side
        with torch.autocast('cpu', enabled=False): # what it adds cannot be converted
            example = dict(example_input=torch.zeros(shape), input=[shape])
            model = openvino.convert_model(self.maps, **example)
        half = has_native_bf16(torch.device('cpu'))
        options = dict(INFERENCE_PRECISION_HINT='bf16' if half else 'f32',
                       INFERENCE_NUM_THREADS=torch.get_num_threads())
        return openvino.Core().compile_model(model, 'CPU', options).create_infer_request()
    def __call__(self, L):
        side = L.shape[-1]
        if side not in self.sides: self.sides[side] = self.open(side)
        request,parts = self.sides[side],[]
        for part in L.float().split(self.rows):
            missing = self.rows-len(part)
            request.infer([F.pad(part, (0,0,0,0,0,0,0,missing)).contiguous().numpy()])
            parts.append([torch.tensor(o.data[:len(part)]) for o in request.output_tensors])
        joined = [torch.cat(o).to(memory_format=torch.channels_last) for o in zip(*parts)]
        return dict(zip(self.strides, joined))

def fast(encoder):
    "What encodes without gradient, in OpenVINO where it is installed"
    return OpenVINOEncoder(encoder) if openvino else torch.no_grad()(encoder.forward)

def same_weights(a, b):
    "Do two networks of one shape have the same ones?"
    return all(map(torch.equal, a.parameters(), b.parameters()))

def quicken(unet):
    "Let its 3×3 convolutions have faster gradients"
    for o in unet.modules():
        if isinstance(o, nn.Conv2d) and (o.kernel_size,o.stride)==((3,3), (1,1)):
            o._conv_forward = partial(small_convolution, o)

def small_convolution(conv, x, weight, bias):
    "`conv._conv_forward` for a 3×3 convolution, with faster gradients on small grids"
    if x.shape[-1]>8: return F.conv2d(x, weight, bias, padding=1)
    if torch.is_autocast_enabled('cpu'):
        dtype = torch.get_autocast_dtype('cpu')
        x,weight,bias = [o.to(dtype) for o in (x, weight, bias)]
    return SmallConvolution.apply(x, weight, bias)

class SmallConvolution(torch.autograd.Function):
    """3×3 convolution whose gradient by the weights is one product of matrices

    On 4×4 cells in bfloat16 oneDNN's own takes six times as long, on 8×8 twice, on 16×16 as long.
    """
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=1)
    @staticmethod
    def backward(ctx, grad):
        x,weight = ctx.saved_tensors
        n_out,n_in = weight.shape[:2]
        back = torch.ops.aten.convolution_backward
        grad_x = back(grad, x, weight, [n_out], [1,1], [1,1], [1,1], False, [0,0], 1,
                      [True,False,False])[0]
        rows = grad.permute(0,2,3,1).reshape(-1, n_out)
        grad_weight = (rows.t() @ neighborhoods(x)).view(n_out, 3, 3, n_in).permute(0,3,1,2)
        return grad_x,grad_weight,rows.sum(0)

def neighborhoods(x):
    "(N,C,H,W) -> (N*H*W,9*C): each cell with those around it"
    n,c,h,w = x.shape
    padded = F.pad(x.permute(0,2,3,1), (0,0,1,1,1,1))
    shifted = [padded[:,i:i+h,j:j+w] for i in range(3) for j in range(3)]
    return torch.cat(shifted, -1).reshape(n*h*w, 9*c)

def append(path, row):
    "Add a row to a table, with the names above it when it is new"
    new = not path.exists()
    with path.open('a', newline='') as f:
        out = csv.DictWriter(f, list(row))
        if new: out.writeheader()
        out.writerow(row)

def source(folder):
    "The set, without the few that would leave a batch incomplete (it would be compiled anew)"
    pack = Pack(folder)
    return Subset(pack, range(len(pack)//BS*BS))

def sources_of(folder, **shares):
    "[(how often one of them, photographs), …]: any of the set, then `shares` of some `KINDS`"
    pack = Pack(folder)
    shares = {k: v for k,v in shares.items() if v}
    def some(kind): return [i for i,o in enumerate(pack.sources) if re.match(KINDS[kind], o)]
    return [(1-sum(shares.values()), source(folder)),
            *((share, Subset(pack, some(kind))) for kind,share in shares.items())]

def follow(run, n, **changes):
    "Have the state of `run` go on with `n` photographs; with `changes`, as the state of a branch"
    path = run/'state.pt'
    state = torch.load(path, map_location='cpu', weights_only=True)
    if state['number_of_photographs']!=n:
        state |= dict(number_of_photographs=n, epoch0=state['epoch0']+1, batch0=0)
    elif not changes: return
    if changes: state['average']['n_averaged'].zero_()
    torch.save(state|changes, run/'.state.tmp')
    os.replace(run/'.state.tmp', path)

def start(name):
    "Network and configuration of a checkpoint, 'default' for the packaged one"
    net,config,_ = load_checkpoint(WEIGHTS/'default.safetensors' if name=='default' else name)
    net.unet.requires_grad_(True)
    return net,config

def go(photographs, out, args, budget, decay, **more):
    "Train; returns the learner"
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    torch.set_num_threads(args.threads)
    resume = (out/'state.pt').exists()
    kwargs = {} if resume else dict(zip(('net', 'config'), start(args.start)))
    if resume: follow(out, len(photographs))
    cbs = [Diary(), *([Compiled()] if args.compile else [])]
    return train(photographs, out, args.valid, photos=budget, resume=resume, bs=BS,
                 num_workers=args.workers, bar=False, settings=SETTINGS|dict(lr=args.lr)|more,
                 cbs=cbs, run_args=dict(minutes=args.minutes, decay=decay), **kwargs)

def averaged(run):
    "Averaged network and configuration of a run"
    state = read_state(run)
    net = ColorNet(state['config'].net)
    net.load_state_dict({k[7:]: v for k,v in state['average'].items() if k.startswith('module.')})
    return net.eval(),state['config'],state

def loss_of(net, config, valid):
    "Mean loss on the watched photographs, as training reports it"
    recipe = Recipe(factor=config.net.factor)
    dls = photo_dataloaders(valid, valid, BS, recipe)
    learn = diffusion_learner(dls, config, net=net)
    learn.ema.start(learn.model)
    with learn.no_bar(), learn.no_logging(): return float(learn.validate()[0])

def look(args):
    "Losses of a run and of checkpoints"
    torch.set_num_threads(args.threads)
    for name in args.also: print(f'{name}: {loss_of(*start(name), args.valid):.5f}', flush=True)
    if not args.run: return
    net,config,state = averaged(args.run)
    if args.out: save_checkpoint(args.out, net, config)
    print(f"{args.run} after {state['photos']}: {loss_of(net, config, args.valid):.5f}", flush=True)

def branch(args):
    "A copy of a run whose learning rate falls to 0"
    photographs = source(args.set)
    if not (args.branch/'state.pt').exists():
        args.branch.mkdir(parents=True, exist_ok=True)
        shutil.copy2(args.run/'state.pt', args.branch/'state.pt')
        follow(args.branch, len(photographs), photos=0, steps=10**6, seconds=0.)
    settings = dict(small_share='0')|dict(o.split('=', 1) for o in args.settings)
    go(photographs, args.branch, args, args.photos, 1., **settings)

def row(args):
    "A line of a table out of a report"
    report,table = args.folders
    of = json.loads(report.read_text())['columns']['colorized']
    say = lambda name, key='value': f"{of[name][key]:.4g}"
    append(table, dict(photographs=args.photos, kid_val=say('kid'), kid_low=say('kid', 'low'),
                       kid_high=say('kid', 'high'), two_sample=say('two_sample'),
                       colorfulness=say('colorfulness'), delta_e2000=say('delta_e2000'),
                       n=of['kid']['n'], protocol=args.protocol))

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('command', choices=('train', 'look', 'branch', 'row'))
    p.add_argument('folders', type=Path, nargs='*')
    p.add_argument('--valid', type=Path)
    p.add_argument('--start', default='default')
    p.add_argument('--photos', type=int, default=100_000_000)
    p.add_argument('--lr', type=float, default=5e-4)
    p.add_argument('--minutes', type=float, default=4., help='between two saves')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--workers', type=int, default=1)
    p.add_argument('--compile', action='store_true')
    p.add_argument('--set', dest='settings', nargs='*', default=[], help='settings of a branch')
    p.add_argument('--also', nargs='*', default=[])
    p.add_argument('--out', type=Path)
    p.add_argument('--protocol', default='')
    args = p.parse_args()
    if args.command=='row': return row(args)
    if args.valid is None: p.error('--valid is needed')
    if args.command=='look':
        args.run = args.folders[0] if args.folders else None
        return look(args)
    if args.command=='branch':
        args.set,args.run,args.branch = args.folders
        return branch(args)
    RunCallback.size = property(size)
    photographs,run = args.folders
    go(source(photographs), run, args, args.photos, 0.)

if __name__=='__main__': main()
