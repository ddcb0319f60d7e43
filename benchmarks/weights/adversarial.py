"""Adversarial fine-tuning of a colorizer: does a discriminator take its guesses for true colors?

    python -m benchmarks.weights.adversarial SET OUT --minutes 45 --old OLD --temperatures 0.5 0.8

SET comes from `photographs.py`, OLD from `historical.py`: on these the network is to draw what it
drew before, or what another one draws (`--hold-old`). It draws as its defaults do, wrappers
included, up to a random step; there its guess of the clean chroma is to please a discriminator
(hinge loss). As in latent adversarial diffusion distillation (Sauer et al. 2024, arXiv 2403.12015)
that is a copy of the network itself, which sees noisy chroma of known strength; small heads read
its levels. Others read what the frozen EfficientNet-Lite0 says of the colors. So that first guesses
stay means, hints are obeyed and nothing drifts, the network is also held to what it predicted
before (`--keep`).

OUT gets the moving average of the weights every 400 batches, and `diary.csv`. One process takes
one core; SIGTERM ends it with the weights. With OpenVINO installed the encoder runs there.
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
from colorized.model.similarity import similarity_matrix, small_region_confidence
from colorized.model.unet import Condition
from colorized.theory.guidance import (anchor_small_regions, average_similar, compose,
                                       reuse_first_guess)
from colorized.theory.samplers import dpmpp_2m
from colorized.training.examples import Recipe
from .acceleration import fast, quicken
from .discriminator import Discriminator
from .held import OldPhotographs, deviation
from .training import DECAY, EVERY, SAVE, Examples, append, bf16, same_weights, sources_of, start

BS = 8

def examples_of(args, side):
    recipe = Recipe(size=max(args.sides), no_hints=0.35, archival=args.archival)
    photographs = sources_of(args.set, args.least, scenes=args.scenes)
    return Examples(photographs, side, recipe, args.seed, BS)

class Enough(Exception): pass

class Game:
    "Colorizer against discriminator"
    def __init__(self, args):
        self.args = args
        self.net,self.config = start(args.start)
        self.before = start(args.hold)[0] if args.hold else deepcopy(self.net)
        self.before.requires_grad_(False).eval()
        if not same_weights(self.before.encoder, self.net.encoder):
            raise ValueError(f"--hold {args.hold} has another encoder than --start {args.start}")
        self.average = deepcopy(self.net.unet).requires_grad_(False)
        self.judge = Discriminator(self.before, self.config.chroma_scale)
        self.encode = fast(self.net.encoder)
        for o in (self.net, self.before): quicken(o.unet)
        self.schedule,s = self.config.make_schedule(),self.config.sampling
        self.old = OldPhotographs(args.old, args.sides[0], args.seed) if args.old else None
        self.drew,self.encode_drew = self.before,self.encode
        if args.old and args.hold_old:
            self.drew = start(args.hold_old)[0].requires_grad_(False).eval()
            self.encode_drew = fast(self.drew.encoder)
        self.chain = self.schedule.respace(s.steps, s.last_step)
        adam = partial(torch.optim.AdamW, betas=(0.,0.99))
        self.optimizer = adam(self.net.unet.parameters(), args.lr, weight_decay=0.)
        groups = [dict(params=[o for o in m.parameters() if o.requires_grad], lr=lr)
                  for m,lr in ((self.judge.unet, 1e-4), (self.judge.heads, args.judge_lr),
                               (self.judge.color_heads, args.judge_lr))]
        self.judge_optimizer = adam([o for o in groups if o['params']], weight_decay=1e-3)
        self.weights = torch.tensor([float(o) for o in args.steps.split(',')])
    def condition(self, net, L, features, hints=None):
        return Condition(L/50-1, net.unet.project_features(features), hints)
    def noisy(self, x0, t):
        return self.schedule.q_sample(x0, t, torch.randn_like(x0))

    @torch.no_grad()
    def walk(self, L, features, k):
        "The state before step `k`, and its time, as the defaults come to it"
        s,cond = self.config.sampling,self.condition(self.net, L, features)
        shape = len(L),2,*(o//self.net.cfg.factor for o in L.shape[2:])
        def denoise(x_t, t, cond):
            with bf16(): return self.net(x_t, t, cond).float()
        last = torch.full((len(L),), int(self.chain.timesteps[-1]))
        cond.first_guess = denoise(torch.zeros(shape), last, cond)
        chroma = cond.first_guess*self.config.chroma_scale
        cond.confidence = small_region_confidence(chroma, s.anchor_chroma, s.anchor_around)
        cond.similarity = [similarity_matrix(cond[i:i+1], s.cells)[0] for i in range(len(L))]
        wrapped = compose(
            denoise, partial(average_similar, schedule=self.schedule,
                             restored=s.average_restored, until_snr=s.average_until),
            partial(anchor_small_regions, schedule=self.schedule, gain=s.anchor_gain,
                    until_snr=s.anchor_until),
            partial(reuse_first_guess, schedule=self.schedule))
        states = []
        def until_k(x_t, t, cond):
            states.append((x_t, t))
            if len(states)>k: raise Enough
            return wrapped(x_t, t, cond)
        temperature = torch.empty(1).uniform_(*self.args.temperatures)
        try: dpmpp_2m(until_k, torch.randn(shape)*temperature, cond, self.chain)
        except Enough: pass
        return states[-1]

    def discriminate(self, x0, guess, L, features):
        "A step of the discriminator -> (its loss, how often it is right, what the guess wants)"
        t = torch.randint(10, self.args.noise, (len(x0),))
        guess = guess.detach().requires_grad_(True)
        with bf16():
            true = self.judge(self.judge.maps(x0, self.noisy(x0, t), t, L, features), t)
            maps = self.judge.maps(guess, self.noisy(guess, t), t, L, features)
            said = self.judge(maps, t)
        pleasing = sum(sum(o.mean() for o in kind)/len(kind) for kind in said)
        wish, = torch.autograd.grad(-pleasing, guess, retain_graph=True)
        pairs = [(o, q) for a,b in zip(true, said) for o,q in zip(a, b)]
        loss = sum(F.relu(1-o).mean()+F.relu(1+q).mean() for o,q in pairs)
        self.judge_optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.judge.unet.parameters(), 5.)
        self.judge_optimizer.step()
        right = sum(((o>0).float().mean()+(q<0).float().mean()).item()/2 for o,q in pairs)
        return loss.item()/len(pairs),right/len(pairs),wish

    def kept(self, x0, L, features, hints):
        "How far the network has gone from what it said before, on half of a batch"
        n = len(x0)//2
        x0,L,features = x0[:n],L[:n],{k: o[:n] for k,o in features.items()}
        t = torch.randint(10, self.args.noise, (n,))
        x_t = self.noisy(x0, t)
        weight = (1/self.schedule.signal_noise(t, x0)[1].square()).clamp(max=5)
        first = max(1, n//4) # of nothing but noise: the first guess
        x_t[:first],t[:first],weight[:first] = 0,int(self.chain.timesteps[-1]),1
        hints = None if hints is None else hints[:n]
        with bf16():
            with torch.no_grad():
                want = self.before(x_t, t, self.condition(self.before, L, features, hints))
            out = self.net(x_t, t, self.condition(self.net, L, features, hints))
        return (weight*(out.float()-want.float()).square()).mean()

    def step(self, i, lr, L, hints, ab):
        "One batch; the network learns once the heads have learned a little"
        x0,features,moves = ab/self.config.chroma_scale,self.encode(L),i>=self.args.warmup
        x_t,t = self.walk(L, features, 1+int(torch.multinomial(self.weights, 1)))
        with torch.set_grad_enabled(moves), bf16():
            guess = self.net(x_t, t, self.condition(self.net, L, features)).float()
        loss,right,wish = self.discriminate(x0, guess, L, features)
        if not moves: return loss,right,0.,guess,x0
        self.optimizer.param_groups[0]['lr'] = lr
        self.optimizer.zero_grad()
        guess.backward(wish)
        kept = self.kept(x0, L, features, self.config.scale_hints(hints) if i%2 else None)
        (self.args.keep*kept).backward()
        if self.old:
            old = deviation(self, self.old.lightness(BS//2))
            (self.args.keep_old*old).backward()
        nn.utils.clip_grad_norm_(self.net.unet.parameters(), 1.)
        self.optimizer.step()
        for a,b in zip(self.average.parameters(), self.net.unet.parameters()):
            a.data.lerp_(b.data, 1-DECAY)
        return loss,right,kept.item(),guess.detach(),x0
    def save(self, path):
        net = deepcopy(self.before)
        net.unet.load_state_dict(self.average.state_dict())
        save_checkpoint(path, net.eval(), self.config)

def play(args):
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    small,large = args.sides
    game,side,ended = Game(args),mp.Value('i', small),[]
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    batches = iter(torch.utils.data.DataLoader(examples_of(args, side), None, num_workers=1))
    began,i,seen = time.time(),0,[]
    while not ended and (share := (time.time()-began)/(60*args.minutes))<1:
        side.value = small if share<0.7 else large
        rise = (i+1-args.warmup)/100
        lr = args.lr*min(1, max(0, rise), max(0.02, (1-share)/0.3))
        *figures,guess,x0 = game.step(i, lr, *next(batches))
        strength = [o.norm(dim=1).mean().item()*game.config.chroma_scale for o in (guess, x0)]
        seen.append((*figures, *strength))
        i += 1
        if i%EVERY==0:
            names = 'loss', 'right', 'kept', 'strength', 'true strength'
            row = {k: f'{v:.4f}' for k,v in zip(names, np.mean(seen, 0))}
            append(args.out/'diary.csv', dict(photographs=i*BS, lr=f'{lr:.3g}', **row))
            seen = []
        if i%SAVE==0: game.save(args.out/f'{i*BS}.safetensors')
    game.save(args.out/'model.safetensors')

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('set', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--start', default='default', help='checkpoint to begin with')
    p.add_argument('--hold', help='checkpoint that it is held to; default: that it begins with')
    p.add_argument('--minutes', type=float, default=65)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--keep', type=float, default=10, help='weight of what was predicted before')
    p.add_argument('--lr', type=float, default=5e-5)
    p.add_argument('--judge-lr', type=float, default=5e-4, help='of the heads')
    p.add_argument('--noise', type=int, default=500, help='of 1000: most for the discriminator')
    p.add_argument('--warmup', type=int, default=100, help='batches for the heads alone')
    p.add_argument('--steps', default='.3,.2,.15,.15,.2', help='weights of the later steps')
    p.add_argument('--scenes', type=float, default=0, help='their share of the squares')
    p.add_argument('--least', type=int, default=224, help='shorter side of what is learned from')
    p.add_argument('--old', type=Path, help='folder of old photographs, see historical.py')
    p.add_argument('--hold-old', help='whose drawings of those are kept; default: --hold')
    p.add_argument('--keep-old', type=float, default=60, help='weight of what was drawn of those')
    p.add_argument('--archival', type=float, default=0.5, help='share with the gray of old film')
    p.add_argument('--sides', type=int, nargs=2, default=(192, 256), metavar='PIXELS',
                   help='of the squares, in the first 70 %% of the time and after it')
    p.add_argument('--temperatures', type=float, nargs=2, default=(0.8, 1.), metavar='T',
                   help='least and most of the initial noise')
    play(p.parse_args())

if __name__=='__main__': main()
