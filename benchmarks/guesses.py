"""First guesses trained on the true colors, while later steps are held to what a network says.

    python benchmarks/guesses.py SET OUT --minutes 80 [--start FILE] [--people 0.3] [--steady]

SET comes from `photographs.py`. The default settings begin with the first guess, what the network
makes of nothing but noise, and all later steps follow it. In usual training it is one step of
1,000. Here ten squares of each batch of 16 begin with nothing: squared error against the true
chroma. The other six are noisy by a random step, and what the packaged weights say of them is to
be said. `--people` is the share of squares that come from collections of people.

The learning rate falls over the last third and the squares are large in the last quarter, except
with `--steady`, for a run that another one follows. OUT gets the moving average of the weights
every 400 batches, and `diary.csv`. One process takes one core; the mean of two runs from the same
start (`soup.py mean`) is better than each. SIGTERM ends it with the weights.
"""
import argparse
import signal
import time
from copy import deepcopy
from pathlib import Path
import numpy as np
import torch
import torch.multiprocessing as mp
from torch import nn
from adversarial import DECAY, EVERY, WEIGHTS, Examples, bf16
from colorized.model.checkpoint import save_checkpoint
from colorized.model.unet import Condition
from colorized.training.examples import Recipe
from long_run import append, fast, quicken, sources_of, start

BS = 16         # With half as many a square takes a fifth more time
GUESSES = 10    # Of a batch: they begin with nothing
WARMUP = 100    # Batches over which the learning rate rises
EARLIEST = 10   # Step: what is hardly noisy says nothing
MOST = 5.       # Weight of what is hardly noisy: 1/variance of the noise, at most

class Lessons:
    "A network, its average, and the one that it is held to"
    def __init__(self, begin, lr, keep):
        self.net,self.config = start(begin)
        self.held_to = start('default')[0].requires_grad_(False).eval()
        self.average = deepcopy(self.net.unet).requires_grad_(False)
        self.encode = fast(self.net.encoder)
        quicken(self.net.unet) # the other has no gradients
        self.schedule,s = self.config.make_schedule(),self.config.sampling
        self.first = int(self.schedule.respace(s.steps, s.last_step).timesteps[-1])
        weights = self.net.unet.parameters()
        self.optimizer = torch.optim.AdamW(weights, lr, weight_decay=0., fused=True)
        self.keep = keep
    def says(self, net, x_t, t, L, features, hints):
        with bf16():
            cond = Condition(L/50-1, net.unet.project_features(features), hints)
            return net(x_t, t, cond).float()
    def losses(self, L, hints, ab):
        "Of the first guesses, and of what is held"
        features,hints = self.encode(L),self.config.scale_hints(hints)
        x0 = ab/self.config.chroma_scale
        t = torch.randint(EARLIEST, len(self.schedule), (len(ab),))
        x_t = self.schedule.q_sample(x0, t, torch.randn_like(x0))
        x_t[:GUESSES],t[:GUESSES] = 0,self.first
        out = self.says(self.net, x_t, t, L, features, hints)
        later = slice(GUESSES, None)
        with torch.no_grad():
            want = self.says(self.held_to, x_t[later], t[later], L[later],
                             {k: v[later] for k,v in features.items()}, hints[later])
        weight = (1/self.schedule.signal_noise(t, x0)[1].square()).clamp(max=MOST)[later]
        guesses = (out[:GUESSES]-x0[:GUESSES]).square().mean()
        return guesses,(weight*(out[later]-want).square()).mean()
    def step(self, lr, batch):
        self.optimizer.param_groups[0]['lr'] = lr
        self.optimizer.zero_grad()
        guesses,held = self.losses(*batch)
        (guesses+self.keep*held).backward()
        nn.utils.clip_grad_norm_(self.net.unet.parameters(), 1.)
        self.optimizer.step()
        for a,b in zip(self.average.parameters(), self.net.unet.parameters()):
            a.data.lerp_(b.data, 1-DECAY)
        return guesses.item(),held.item()
    def save(self, path):
        net = deepcopy(self.held_to)
        net.unet.load_state_dict(self.average.state_dict())
        save_checkpoint(path, net.eval(), self.config)

def run(args):
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    lessons,ended = Lessons(args.start, args.lr, args.keep),[]
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    small,large = args.sides
    side = mp.Value('i', small)
    recipe = Recipe(size=large, no_hints=0.6, archival=args.archival)
    examples = Examples(sources_of(args.set, people=args.people), side, recipe, args.seed, BS)
    batches = iter(torch.utils.data.DataLoader(examples, None, num_workers=1))
    began,i,seen = time.time(),0,[]
    while not ended and (share := (time.time()-began)/(60*args.minutes))<1:
        side.value = small if share<0.75 or args.steady else large
        fall = 1. if args.steady else min(1, max(0.02, (1-share)/0.3))
        lr = args.lr*min(fall, (i+1)/WARMUP)
        seen.append(lessons.step(lr, next(batches)))
        i += 1
        if i%EVERY==0:
            guesses,held = np.mean(seen, 0)
            append(args.out/'diary.csv', dict(
                photographs=i*BS, minutes=f'{(time.time()-began)/60:.1f}', lr=f'{lr:.3g}',
                guesses=f'{guesses:.4f}', held=f'{held:.4f}'))
            seen = []
        if i%WEIGHTS==0: lessons.save(args.out/f'{i*BS}.safetensors')
    lessons.save(args.out/'model.safetensors')

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('set', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--start', default='default', help='weights to begin with')
    p.add_argument('--minutes', type=float, default=80)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--lr', type=float, default=5e-4)
    p.add_argument('--keep', type=float, default=5, help='weight of what is held')
    p.add_argument('--people', type=float, default=0, help='share of squares')
    p.add_argument('--archival', type=float, default=0.4, help='share of aged squares')
    p.add_argument('--sides', type=int, nargs=2, default=(128, 192), help='small, large')
    p.add_argument('--steady', action='store_true', help='nothing falls: another run follows')
    run(p.parse_args())

if __name__=='__main__': main()
