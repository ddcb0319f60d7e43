"""First guesses trained on the true colors, while later steps are held to what a network says.

    python -m benchmarks.weights.guesses SET OUT --minutes 30 --start FILE --people 0.3

SET comes from `photographs.py`. The default settings begin with the first guess, what the network
makes of nothing but noise, and all later steps follow it. In usual training it is one step of
1,000. Here ten squares of each batch of 16 begin with nothing: squared error against the true
chroma. The other six are noisy by a random step, and what other weights say of them is to be said
(`--hold`). `--people` is the share of squares that come from collections of people, `--rare` of
those for which rare kinds of things are drawn more often (`kinds.py --save`). `--corrections` is
how many of the ten are given a hint where the guess without it is most wrong.

With `--encoder-lr` the encoder learns along, but for its first two stages and the kernels of its
depthwise convolutions. At 2e-4 it forgets, at 3e-5 it does not.

The learning rate falls over the last third, or over `--falling`, and the squares are large in the
last quarter, except with `--steady`, for a run that another one follows. OUT gets the moving
average of the weights every 400 batches, and `diary.csv`. One process takes one core; the mean of
two runs from the same start (`mean.py`) is better than each. SIGTERM ends it with the weights.
"""
import argparse, signal, time
from copy import deepcopy
from functools import partial
from pathlib import Path
import numpy as np
import torch, torch.nn.functional as F
import torch.multiprocessing as mp
from torch import nn
from colorized.model.checkpoint import save_checkpoint
from colorized.model.unet import Condition
from colorized.training.examples import Recipe
from colorized.training.sources import Subset
from .acceleration import fast, quicken
from .muon import KernelMuon, kernels_of
from .photographs import Pack
from .training import DECAY, EVERY, SAVE, Examples, append, bf16, same_weights, sources_of, start

BS = 16         # With half as many a square takes a fifth more time
GUESSES = 10    # Of a batch: they begin with nothing
WARMUP = 100    # Batches over which the learning rate rises
EARLIEST = 10   # Step: what is hardly noisy says nothing
DRAWN = 400_000 # By `rare_kinds`, with repetition
MOST = 5.       # Weight of what is hardly noisy: 1/variance of the noise, at most

class Lessons:
    "A network, its average, and the one that it is held to"
    def __init__(self, begin, lr, keep, encoder_lr=0., corrections=0, muon=False,
                 hold='default'):
        self.net,self.config = start(begin)
        self.held_to = start(hold)[0].requires_grad_(False).eval()
        self.average = deepcopy(self.net).requires_grad_(False)
        self.encode = self.encode_held = fast(self.held_to.encoder)
        quicken(self.net.unet) # the other has no gradients
        self.schedule,s = self.config.make_schedule(),self.config.sampling
        self.first = int(self.schedule.respace(s.steps, s.last_step).timesteps[-1])
        self.rates = {self.net.unet: 1.}
        if encoder_lr:
            self.rates[learning(self.net.encoder)] = encoder_lr/lr
            self.encode = self.net.encoder
        elif not same_weights(self.net.encoder, self.held_to.encoder):
            self.encode = fast(self.net.encoder)
        kernels = kernels_of(self.net.unet) if muon else []
        self.muon = KernelMuon(kernels, lr) if muon else None
        groups = [dict(params=[p for p in o.parameters() if not any(p is k for k in kernels)])
                  for o in self.rates]
        self.optimizer = torch.optim.AdamW(groups, lr, weight_decay=0., fused=True)
        self.keep,self.corrections = keep,corrections
    def features(self, L):
        "What the encoder of the network sees, and what that of the other one does of later steps"
        with bf16(): own = self.encode(L)
        if self.encode is not self.encode_held: return own,self.encode_held(L[GUESSES:])
        return own,{k: v[GUESSES:] for k,v in own.items()}
    def says(self, net, x_t, t, L, features, hints):
        with bf16():
            cond = Condition(L/50-1, net.unet.project_features(features), hints)
            return net(x_t, t, cond).float()
    @torch.no_grad()
    def correct(self, x0, x_t, t, L, features, hints):
        "Replace the hints of some first guesses by what people correct"
        n = self.corrections
        seen,none = {k: v[:n] for k,v in features.items()},torch.zeros_like(hints[:n])
        guess = self.says(self.net, x_t[:n], t[:n], L[:n], seen, none)
        hints[:n] = correction(guess, x0[:n], F.avg_pool2d(L[:n], self.net.cfg.factor))
    def losses(self, L, hints, ab):
        "Of the first guesses, and of what is held"
        (features,seen),hints = self.features(L),self.config.scale_hints(hints)
        x0 = ab/self.config.chroma_scale
        t = torch.randint(EARLIEST, len(self.schedule), (len(ab),))
        x_t = self.schedule.q_sample(x0, t, torch.randn_like(x0))
        x_t[:GUESSES],t[:GUESSES] = 0,self.first
        if self.corrections: self.correct(x0, x_t, t, L, features, hints)
        out = self.says(self.net, x_t, t, L, features, hints)
        later = slice(GUESSES, None)
        with torch.no_grad():
            want = self.says(self.held_to, x_t[later], t[later], L[later], seen, hints[later])
        weight = (1/self.schedule.signal_noise(t, x0)[1].square()).clamp(max=MOST)[later]
        guesses = (out[:GUESSES]-x0[:GUESSES]).square().mean()
        return guesses,(weight*(out[later]-want).square()).mean()
    def step(self, lr, batch):
        for group,rate in zip(self.optimizer.param_groups, self.rates.values()):
            group['lr'] = lr*rate
        self.net.zero_grad()
        guesses,held = self.losses(*batch)
        (guesses+self.keep*held).backward()
        for o in self.rates: nn.utils.clip_grad_norm_(o.parameters(), 1.)
        self.optimizer.step()
        if self.muon: self.muon.step(lr)
        for a,b in zip(self.average.parameters(), self.net.parameters()):
            a.data.lerp_(b.data, 1-DECAY)
        return guesses.item(),held.item()
    def save(self, path):
        save_checkpoint(path, self.average, self.config)

def correction(guess, x0, L):
    """Hints (N,3,h,w) where `guess` is most wrong: a brush of 2 to 4 cells around in the mean true
    color, paler in shadow, as `hint_grid` makes of what people paint; `L` (N,1,h,w) on that grid"""
    n,_,h,w = x0.shape
    wrong = F.avg_pool2d((guess-x0).square().sum(1, keepdim=True), 5, 1, 2)
    worst = wrong.flatten(1).argmax(1).view(n,1,1,1)
    y,x = worst//w,worst%w
    off = (torch.arange(h)[:,None]-y).square()+(torch.arange(w)-x).square()
    mask = (off<=torch.empty(n,1,1,1).uniform_(1.5, 4).square()).float()
    mean = lambda o: (o*mask).sum((2,3), keepdim=True)/mask.sum((2,3), keepdim=True)
    color = mean(x0)*(L/mean(L).clamp(min=1)).clamp(max=1)
    return torch.cat([color*mask, mask], 1)

def learning(encoder):
    "What of it learns: all but the first two stages, which see edges, and depthwise kernels"
    encoder.to(memory_format=torch.channels_last)
    stages = encoder.stages[2:].requires_grad_(True)
    for o in stages.modules():
        if isinstance(o, nn.Conv2d) and o.groups>1: o._conv_forward = partial(depthwise, o)
    return stages

def depthwise(conv, x, weight, bias):
    "`conv._conv_forward` for a depthwise one, whose kernels stay, with faster gradients"
    if torch.is_autocast_enabled('cpu'):
        dtype = torch.get_autocast_dtype('cpu')
        x,weight,bias = [o.to(dtype) for o in (x, weight, bias)]
    return Depthwise.apply(x, weight, bias, conv.stride[0], conv.padding[0])

class Depthwise(torch.autograd.Function):
    """Depthwise convolution whose gradient is a convolution with the mirrored kernels, which stay

    For kernels of 5×5 oneDNN's own takes 4 to 14 times as long, in bfloat16 20 to 60 times."""
    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding):
        ctx.save_for_backward(weight)
        ctx.how = stride,padding,x.shape
        return F.conv2d(x, weight, bias, stride, padding, groups=len(weight))
    @staticmethod
    def backward(ctx, out):
        (weight,),(stride,padding,(n,c,*sides)) = ctx.saved_tensors,ctx.how
        k,spread = weight.shape[-1],out
        if stride>1: # zeros between
            shape = [n, c, *(o+2*padding-k+1 for o in sides)]
            spread = torch.empty(shape, dtype=out.dtype, memory_format=torch.channels_last).zero_()
            spread[:,:,::stride,::stride] = out
        into = F.conv2d(spread, weight.flip(2, 3), None, 1, k-1-padding, groups=c)
        return into,None,out.sum((0,2,3)),None,None

def rare_kinds(folder):
    "Photographs of a set, each as often as one over the root of how many are of its kind"
    kinds = np.load(folder/'kinds.npy')
    pack = Pack(folder)
    if len(kinds)!=len(pack): raise ValueError(
        f"{folder}/kinds.npy has {len(kinds)} kinds for {len(pack)} photographs: run kinds.py")
    weights = np.bincount(kinds)[kinds]**-0.5
    drawn = np.random.default_rng(0).choice(len(pack), DRAWN, p=weights/weights.sum())
    return Subset(pack, drawn.tolist())

def sources(args):
    "[(how often one of them, photographs), …]"
    usual = sources_of(args.set, people=args.people)
    if not args.rare: return usual
    return [(args.rare, rare_kinds(args.set)), *((share*(1-args.rare), o) for share,o in usual)]

def run(args):
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    lessons = Lessons(args.start, args.lr, args.keep, args.encoder_lr, args.corrections,
                      args.muon, args.hold)
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    small,large = args.sides
    side = mp.Value('i', small)
    recipe = Recipe(size=large, no_hints=0.6, archival=args.archival)
    examples = Examples(sources(args), side, recipe, args.seed, BS)
    batches = iter(torch.utils.data.DataLoader(examples, None, num_workers=1))
    began,i,seen = time.time(),0,[]
    while not ended and (share := (time.time()-began)/(60*args.minutes))<1:
        side.value = small if share<0.75 or args.steady else large
        fall = 1. if args.steady else min(1, max(0.02, (1-share)/args.falling))
        lr = args.lr*min(fall, (i+1)/WARMUP)
        seen.append(lessons.step(lr, next(batches)))
        i += 1
        if i%EVERY==0:
            guesses,held = np.mean(seen, 0)
            append(args.out/'diary.csv', dict(
                photographs=i*BS, minutes=f'{(time.time()-began)/60:.1f}', lr=f'{lr:.3g}',
                guesses=f'{guesses:.4f}', held=f'{held:.4f}'))
            seen = []
        if i%SAVE==0: lessons.save(args.out/f'{i*BS}.safetensors')
    lessons.save(args.out/'model.safetensors')

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('set', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--start', default='default', help='weights to begin with')
    p.add_argument('--hold', default='default', help='weights whose later steps are kept')
    p.add_argument('--minutes', type=float, default=80)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--lr', type=float, default=5e-4)
    p.add_argument('--encoder-lr', type=float, default=0, help='0: it stays as it is')
    p.add_argument('--keep', type=float, default=5, help='weight of what is held')
    p.add_argument('--corrections', type=int, default=0, help='first guesses of each batch with a '
                   'hint where they are most wrong')
    p.add_argument('--muon', action='store_true', help='for the kernels of the U-Net (torch 2.9)')
    p.add_argument('--people', type=float, default=0, help='share of squares')
    p.add_argument('--rare', type=float, default=0, help='share of squares for which rare kinds '
                   'are drawn more often, see kinds.py')
    p.add_argument('--archival', type=float, default=0.4, help='share of aged squares')
    p.add_argument('--sides', type=int, nargs=2, default=(128, 192), help='small, large')
    p.add_argument('--falling', type=float, default=0.3, help='share of the time, at its end, in '
                   'which the learning rate falls')
    p.add_argument('--steady', action='store_true', help='nothing falls: another run follows')
    run(p.parse_args())

if __name__=='__main__': main()
