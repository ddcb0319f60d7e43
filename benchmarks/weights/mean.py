"""The mean of the weights of several checkpoints

    python -m benchmarks.weights.mean FILE CHECKPOINT CHECKPOINT …

All begin with the same weights, such as two runs that differ in their seed."""
import argparse
from pathlib import Path
from colorized.model.checkpoint import load_checkpoint, save_checkpoint
from colorized.model.unet import ColorNet

def mean(paths):
    "(network, configuration of the first)"
    nets,configs,_ = zip(*map(load_checkpoint, paths))
    states = [o.state_dict() for o in nets]
    net = ColorNet(configs[0].net)
    mean_of = lambda k, v: (sum(o[k].double() for o in states)/len(states)).to(v.dtype)
    net.load_state_dict({k: mean_of(k, v) if v.is_floating_point() else states[0][k]
                         for k,v in net.state_dict().items()})
    return net.eval(),configs[0]

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('file', type=Path, help='checkpoint to be written')
    p.add_argument('checkpoints', nargs='+')
    args = p.parse_args()
    print(args.file, save_checkpoint(args.file, *mean(args.checkpoints)))

if __name__=='__main__': main()
