"What training of first guesses and training against a discriminator share"
import csv, re
from functools import partial
import numpy as np, torch
from colorized.inference.colorizer import WEIGHTS
from colorized.model.checkpoint import load_checkpoint
from colorized.model.unet import has_native_bf16
from colorized.training.examples import ColorizationDataset
from colorized.training.sources import Subset
from .photographs import Pack

EVERY = 25       # batches between rows of the diary
SAVE = 400       # batches between checkpoints
DECAY = 0.995    # of the moving average, per batch
NATIVE = has_native_bf16(torch.device('cpu')) # where it is emulated, it takes several times as long
bf16 = partial(torch.autocast, 'cpu', torch.bfloat16, enabled=NATIVE)

KINDS = dict( # which repositories hold these
    people='bearpaw/|axelcarlier/|bana513/|mateusrafael4/|RlNZLER/|quantumnaan/|VikramShenoy97/'
           '|Jitesh17/|ashishodu2023/|MSEDdataset/|mzahid36/|brianhuster/|jolignier/|marellanoc/'
           '|mukammilbasha/',
    scenes='RlNZLER/|nhantd/|akshay993/|Yorkbenno/|jw995/|michael5511b/|emanhamed/'
           '|shubhankarm01/|myhorsevideo1-boop/|HaoPeiwen/|JBlitzar/')

def start(name):
    "Network and configuration of a checkpoint, 'default' for the packaged one"
    net,config,_ = load_checkpoint(WEIGHTS/'default.safetensors' if name=='default' else name)
    net.unet.requires_grad_(True)
    return net,config

def same_weights(a, b):
    "Do two networks of one shape have the same ones?"
    return all(map(torch.equal, a.parameters(), b.parameters()))

def sources_of(folder, least=0, **shares):
    """[(how often one of them, photographs), …]: any of the set, then `shares` of some `KINDS`

    Only photographs whose shorter side has `least` pixels."""
    pack = Pack(folder, least)
    shares = {k: v for k,v in shares.items() if v}
    def some(kind): return [i for i,o in enumerate(pack.sources) if re.match(KINDS[kind], o)]
    return [(1-sum(shares.values()), pack),
            *((share, Subset(pack, some(kind))) for kind,share in shares.items())]

class Examples(torch.utils.data.IterableDataset):
    "Batches of random photographs of `sources` ([(how often one of it, photographs), …])"
    def __init__(self, sources, side, recipe, seed, bs):
        self.shares,photographs = zip(*sources)
        self.examples = [ColorizationDataset(o, recipe) for o in photographs]
        self.side,self.seed,self.bs = side,seed,bs # side: pixels, a shared value
    def one(self, rng):
        examples = self.examples[rng.choice(len(self.shares), p=self.shares)]
        examples.size = self.side.value
        return examples[int(rng.integers(len(examples))), self.seed, int(rng.integers(2**31))]
    def __iter__(self):
        torch.set_num_threads(1)
        rng = np.random.default_rng(self.seed)
        while True:
            yield [torch.stack(o) for o in zip(*(self.one(rng) for _ in range(self.bs)))]

def append(path, row):
    "Add a row to a table, with the names above it when it is new"
    new = not path.exists()
    with path.open('a', newline='') as f:
        out = csv.DictWriter(f, list(row))
        if new: out.writeheader()
        out.writerow(row)
