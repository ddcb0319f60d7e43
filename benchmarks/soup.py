"""Training of the default model in an hour: two short runs side by side, their mean, distilled.

    python benchmarks/soup.py run SET OUT --valid VAL --seed 60 --hours 0.82
    python benchmarks/soup.py mean FILE RUN_OR_FILE …
    python benchmarks/soup.py teach SET OUT --valid VAL --hours 0.2 --strong FILE --weak FILE

SET comes from `photographs.py`. `run` begins with the weights inside the package or those of
`--start`, or goes on where OUT was left: 128 px for three tenths of the photographs, then 256 px;
over the second half of the time the learning rate falls to 0. `mean` writes the mean of the last
weights of several runs, which needs no moving average, or of checkpoints. `teach` distills what
STRONG predicts, guided away from WEAK; the three networks share what the frozen encoder sees. Each
process takes one core. With OpenVINO installed the encoder runs there (`long_run.py`).
"""
import argparse
import os
import signal
from copy import deepcopy
from pathlib import Path
import torch
from colorized.model.checkpoint import load_checkpoint, save_checkpoint
from colorized.model.unet import ColorNet
from colorized.training.distillation import DistillationCallback
from colorized.training.run import read_state
from colorized.training.train import train
from long_run import BS, SETTINGS, Compiled, Diary, source, start

def go(args, small_share, cbs, warmup, net, config):
    "Train, or go on"
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    torch.set_num_threads(1)
    resume = (args.out/'state.pt').exists()
    settings = SETTINGS|dict(lr=5e-4, small_share=small_share)
    begin = {} if resume else dict(net=net, config=config, seed=args.seed)
    return train(source(args.set), args.out, args.valid, hours=args.hours, resume=resume, bs=BS,
                 num_workers=1, bar=False, settings=settings, cbs=[Diary(), *cbs],
                 run_args=dict(decay=0.5, warmup=warmup), **begin)

def run(args):
    go(args, '0.3', [Compiled()], 200, *start(args.start))

def weights_of(name):
    "(state of a network, its configuration) of a run's folder or a checkpoint"
    if Path(name).is_dir():
        state = read_state(Path(name))
        return state['model'],state['config']
    net,config,_ = load_checkpoint(name)
    return net.state_dict(),config

def mean(args):
    states,configs = zip(*map(weights_of, args.runs))
    net = ColorNet(configs[0].net)
    mean_of = lambda k, v: (sum(o[k].double() for o in states)/len(states)).to(v.dtype)
    net.load_state_dict({k: mean_of(k, v) if v.is_floating_point() else states[0][k]
                         for k,v in net.state_dict().items()})
    print(args.file, save_checkpoint(args.file, net.eval(), configs[0]))

class SharedEncoder(Compiled):
    "`Compiled`, and what the encoder saw last is what the teachers' encoders see"
    def __init__(self, *teachers): self.teachers = teachers
    def before_fit(self):
        super().before_fit()
        encoder,kept = self.model.encoder,{}
        forward = encoder.forward
        def seen(L):
            kept['last'] = forward(L)
            return kept['last']
        encoder.forward = seen
        for o in self.teachers: o.encoder.forward = lambda L: kept['last']

def teach(args):
    net,config = start(args.strong)
    strong,weak = deepcopy(net),start(args.weak)[0]
    cbs = [SharedEncoder(strong, weak), DistillationCallback(strong, weak, args.scale)]
    go(args, '0.75', cbs, 50, net, config)

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest='command', required=True)
    def trains(name, hours):
        c = commands.add_parser(name)
        c.add_argument('set', type=Path)
        c.add_argument('out', type=Path)
        c.add_argument('--valid', type=Path, required=True)
        c.add_argument('--seed', type=int, default=0)
        c.add_argument('--hours', type=float, default=hours)
        return c
    c = trains('run', 0.82)
    c.add_argument('--start', default='default', help='checkpoint to begin with')
    c.set_defaults(do=run)
    c = trains('teach', 0.2)
    c.add_argument('--strong', required=True)
    c.add_argument('--weak', required=True)
    c.add_argument('--scale', type=float, default=1.5)
    c.set_defaults(do=teach)
    c = commands.add_parser('mean')
    c.add_argument('file', type=Path)
    c.add_argument('runs', nargs='+')
    c.set_defaults(do=mean)
    args = p.parse_args()
    args.do(args)

if __name__=='__main__': main()
