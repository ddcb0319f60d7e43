"""Several processes: the result of one, photographs read once, killed and resumed, two machines

All of it on CPUs over gloo, the second machine being a second agent on this one; NCCL and CUDA need
hardware that is not here."""
import csv, os, re, shlex, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from fastai.callback.core import Callback
from torch.distributed.distributed_c10d import _set_pg_timeout
from torch.distributed.run import parse_args
from colorized.cli.main import main
from colorized.model.checkpoint import ModelConfig
from colorized.model.unet import UNetConfig
from colorized.training.distributed import check_ranks_agree, from_rank0, processes, rank0_first
from colorized.training.examples import Recipe
from colorized.training.fid import FIDCallback
from colorized.training.sources import PhotoFolder
from colorized.training.train import train

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
N,BS = 17,8 # Batches of 8, 8 and 1: for the last, one of two processes has no photograph
NET = UNetConfig(widths=(32,32), attention=(False,True), groups=8, encoder=None)
PLAN = dict(config=ModelConfig(net=NET, chroma_scale=20.), bs=BS, photos=70, num_workers=0,
            bar=False, recipe=Recipe(size=64, small=32, small_share=0.5), bf16=False, lr=2e-3,
            decay=0.9, perceptual=0.2, run_args=dict(warmup=2, minutes=0))

class Double(Callback):
    "Computes in float64: two ways of adding up then differ by nothing that Adam could make large"
    order,run_valid = 9,True # before others look at the examples
    def before_fit(self): self.learn.preview.every = 1000 # previews are bfloat16
    def before_batch(self):
        self.learn.xb,self.learn.yb = ([o.double() for o in b] for b in (self.xb,self.yb))
    def after_loss(self): self.learn.loss = self.loss.float() # what fastai writes down

def in_float64(*args, **kwargs):
    torch.set_default_dtype(torch.float64)
    try:
        return train(*args, **{**PLAN, **kwargs, 'cbs': [Double(), *kwargs.get('cbs', ())]})
    finally:
        torch.set_default_dtype(torch.float32)

class Reads:
    "A folder that writes down which photographs are read"
    def __init__(self, root, log): self.source,self.root,self.log = PhotoFolder(root),root,log
    def __len__(self): return len(self.source)
    def __getitem__(self, i):
        with open(self.log, 'a') as f: print(i, file=f)
        return self.source[i]

class Kill(Callback):
    "SIGKILL to the second of two processes, in mid-epoch, once"
    order = 80 # after `RunCallback`
    def after_batch(self):
        first_life = (os.environ['RANK'], os.environ['TORCHELASTIC_RESTART_COUNT'])==('1', '0')
        if self.training and self.learn.this_run.steps==5 and first_life:
            os.kill(os.getpid(), signal.SIGKILL)

def weights(path):
    state = torch.load(Path(path)/'state.pt', weights_only=True)
    return {f'{part}.{k}': v for part in ('model','average')
            for k,v in state[part].items() if v.is_floating_point()}

def threads():
    "Names of the threads of this process, where Linux tells them"
    return [p.read_text().strip() for p in Path('/proc/self/task').glob('*/comm')]

def check_facts(rank):
    "What only one process sees is an error on both; what the first says, both hear"
    check_ranks_agree(photographs='the same')
    with pytest.raises(ValueError, match='do not see the same my rank: rank 0 0, rank 1 1'):
        check_ranks_agree(photographs='the same', my_rank=rank)
    assert from_rank0(lambda: rank)==0

class Mean(torch.nn.Module):
    "An extractor that takes no time"
    name,num_features = 'mean',3
    def forward(self, rgb): return rgb.float().mean((2,3))

def judged(root, out, rank):
    "The first process takes long, then it alone measures: the second reads nothing for it"
    with processes(torch.device('cpu')):
        _set_pg_timeout(timedelta(seconds=3))
        assert rank0_first(lambda: time.sleep(0 if rank else 6) or 4)==4
    gray = lambda learn, L, generator: L.expand(-1,3,-1,-1)/100
    judge = FIDCallback(gray, extractor=Mean())
    train(root, out, root, distributed=True, cbs=[judge], **{**PLAN, 'photos': 8, 'perceptual': 0.})
    assert len(judge.measurements)==(0 if rank else 1) and (judge.photos is None)==(rank>0)

def job(root, out, what):
    "What `torchrun` runs on each process"
    out,rank = Path(out),int(os.environ['RANK'])
    if what=='killed':
        in_float64(root, out, root, distributed=True, cbs=[Kill()])
    elif what=='judged':
        judged(root, out, rank)
    else:
        with processes(torch.device('cpu')):
            check_facts(rank)
            reads = Reads(root, out/f'reads{rank}')
            learn = in_float64(reads, out/'whole', root, distributed=True)
            torch.save(learn.ema.net.state_dict(), out/f'average{rank}.pt')
            learn = train(root, out/'timed', root, distributed=True,
                          **{**PLAN, 'photos': None, 'hours': 1/3600, 'bf16': True})
            seen = learn.this_run.steps,learn.ema.net.state_dict()
            torch.save(seen, out/f'timed{rank}.pt')
    # At the interpreter's end such a thread aborts the process now and then, and torchrun calls the
    # run failed
    assert not any('gloo' in o for o in threads()), threads()

def torchrun(*args):
    env = dict(os.environ, OMP_NUM_THREADS='1', GLOO_SOCKET_IFNAME='lo',
               TORCH_DISABLE_SHARE_RDZV_TCP_STORE='1')
    command = [sys.executable, '-m', 'torch.distributed.run', *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=env)

def finish(*agents):
    "What each printed; when one fails or hangs, what all of them complained of"
    with ThreadPoolExecutor(len(agents)) as pool: said = list(pool.map(_wait, agents))
    complaints = [f"exit code {o.returncode}\n{err[-3000:]}" for o,(_,err) in zip(agents, said)]
    assert not any(o.returncode for o in agents), '\n\n'.join(complaints)
    return [out for out,_ in said]

def _wait(agent):
    try:
        return agent.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        agent.terminate() # killed, it would leave its process with our pipes
        return agent.communicate(timeout=60)

def same(a, b): return all(torch.equal(a[k], b[k]) for k in b)

@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root,rng = tmp_path_factory.mktemp('photos'),np.random.default_rng(0)
    for i in range(N):
        im = Image.fromarray(rng.integers(0, 256, (3,3,3), np.uint8))
        im.resize((48,48), Image.BICUBIC).save(root/f'{i:02}.png')
    return root

@pytest.fixture(scope='module')
def pair(root, tmp_path_factory):
    "An undisturbed run of two processes"
    out = tmp_path_factory.mktemp('pair')
    finish(torchrun('--standalone', '--nproc-per-node=2', __file__, root, out, 'whole'))
    return out

@pytest.fixture(scope='module')
def single(root, tmp_path_factory):
    out = tmp_path_factory.mktemp('single')
    in_float64(Reads(root, out/'reads'), out/'whole', root)
    return out

def test_one_process_and_two_agree(pair, single):
    "Weights, average and losses, through uneven batches, cut epochs and the change of size"
    one,two = weights(single/'whole'),weights(pair/'whole')
    for k in one:
        assert one[k].dtype==torch.float64
        torch.testing.assert_close(two[k], one[k], atol=1e-9, rtol=0, msg=k)
    a,b = [torch.load(pair/f'average{i}.pt', weights_only=True) for i in (0,1)]
    assert same(a, b)
    read = lambda d: [o.split(',') for o in (d/'whole/log.csv').read_text().splitlines()]
    rows = [read(d) for d in (single,pair)]
    expected = ['epoch,photos,size', '0,17,32', '1,34,32', '2,42,32', '2,51,64', '3,68,64',
                '4,76,64']
    for o in rows: assert [','.join(r[:3]) for r in o]==expected
    for x,y in zip(rows[0][1:], rows[1][1:]):
        np.testing.assert_allclose(np.array(x[4:], float), np.array(y[4:], float), rtol=1e-4)

def test_every_photograph_is_read_once(pair, single):
    "In each epoch by exactly one process, and the batches are those of a single process"
    reads = lambda path: [int(o) for o in path.read_text().split()]
    whole,(a,b) = reads(single/'reads'),(reads(pair/f'reads{i}') for i in (0,1))
    assert (len(whole), len(a), len(b))==(76, 36, 40)
    for e in range(4):
        epoch = sorted(a[8*e:8*e+8]+b[9*e:9*e+9])
        assert sorted(whole[17*e:17*e+17])==epoch==list(range(N))
    a,b,batches = iter(a),iter(b),[(4,4), (4,4), (0,1)]*4+[(4,4)]
    assert whole==[next(o) for m,n in batches for o in [a]*m+[b]*n]

def test_hours_end_all_processes_at_the_same_step(pair):
    "A clock of its own would make each process stop elsewhere; in bfloat16"
    (m,a),(n,b) = [torch.load(pair/f'timed{i}.pt', weights_only=True) for i in (0,1)]
    assert m==n>0 and same(a, b)

def test_the_first_process_measures(root, tmp_path):
    "Nothing in FID and KID waits for the others"
    finish(torchrun('--standalone', '--nproc-per-node=2', __file__, root, tmp_path/'run', 'judged'))
    rows = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    assert len(rows)==1 and all(float(o['fid_mean'])>0 for o in rows)

def test_a_killed_process_is_started_again(root, pair, tmp_path):
    """SIGKILL in mid-epoch; torchrun starts both again, they go on from the last state

    Nothing is lost."""
    said, = finish(torchrun('--standalone', '--nproc-per-node=2', '--max-restarts=1', __file__,
                            root, tmp_path/'run', 'killed'))
    line = re.search(r'going on after (\d+) photographs, from epoch (\d+), batch (\d+)', said)
    assert tuple(map(int, line.groups())) in ((25,1,1), (33,1,2))
    assert same(weights(tmp_path/'run'), weights(pair/'whole'))

def test_two_machines(root, tmp_path):
    "Two agents that find each other, one process each, through the command itself"
    # Hosted by neither, or the one that leaves last waits for five minutes at the door
    meeting = torch.distributed.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    command = lambda out: ['train', '--data', root, '--valid', root, '--out', tmp_path/out,
        '--photos', 30, '--bs', BS, '--size', 64, '--small', 32, '--workers', 0, '--lr', 2e-3,
        '--threads', 1, '--device', 'cpu', '--set', 'widths=32,32', 'attention=0,1', 'groups=8',
        'encoder=none', 'bf16=0']
    agent = lambda: torchrun('--nnodes=2', '--nproc-per-node=1', '--rdzv-backend=c10d',
        f'--rdzv-endpoint=127.0.0.1:{meeting.port}', '--rdzv-conf=is_host=0', '--rdzv-id=spring',
        '--local-addr=127.0.0.1', '--no-python', '--', 'colorized', *command('two'))
    said = finish(*[agent() for _ in range(2)])
    assert sorted('33 photographs seen' in o for o in said)==[False,True]
    assert main([str(o) for o in command('one')])==0
    one,two = weights(tmp_path/'one'),weights(tmp_path/'two')
    for k in one: torch.testing.assert_close(two[k], one[k], atol=2e-4, rtol=1e-3, msg=k)

if __name__=='__main__': job(*sys.argv[1:])

def test_torchrun_leaves_our_flags_alone():
    "The commands of the documentation, with a flag that torchrun would take for one of its own"
    page = (Path(__file__).parents[2]/'nbs'/'distributed.qmd').read_text()
    commands = re.findall(r'^torchrun (.*?[^\\])$', page, re.M|re.S)
    commands = [c for c in commands if 'colorized train' in c]
    assert len(commands)==2
    for c in commands:
        args = parse_args(shlex.split(c.replace('\\\n', ' '))+['--start', 'default'])
        assert args.training_script=='colorized' and args.training_script_args[0]=='train'
        assert args.training_script_args[-2:]==['--start','default']
