"FID while training: the columns of the log, and that a run that is measured is the same run"
import csv
import pytest, torch
from fastai.callback.progress import CSVLogger
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.torch_core import set_seed
from torch import nn
from colorized.photo.lab import rgb_to_L, to_uint8
from colorized.training.fid import FIDCallback, colorize_with_learner
from colorized.training.previews import colorize_batch
from colorized.training.train import train
from training_helpers import BRIEF, NO_ENCODER, pictures, random_net

pytestmark = pytest.mark.filterwarnings('ignore:FID from')

class Thumbnail(nn.Module):
    name,num_features = 'thumbnail',48
    def forward(self, rgb):
        return nn.functional.adaptive_avg_pool2d(rgb.float()/255, 4).flatten(1)

def learner(cbs=(), seed=0):
    set_seed(seed) # fastai's loaders shuffle with Python's generator, from their creation on
    x = torch.randn(8, 3)
    dls = DataLoaders(*[DataLoader(list(zip(x, x)), bs=4, shuffle=True) for _ in range(2)])
    return Learner(dls, nn.Linear(3, 3), loss_func=nn.MSELoss(), cbs=cbs)

def noisy(learn, L, generator):
    rgb = L/100 + 0.1*torch.rand(L.shape, generator=generator)
    return rgb.clamp(0, 1).expand(-1,3,-1,-1)

def gray(learn, L, generator): return L.expand(-1,3,-1,-1)/100

def test_callback_records_and_does_not_disturb(tmp_path):
    photos = torch.rand(6,3,64,64, generator=torch.Generator().manual_seed(0))
    log = tmp_path/'log.csv'
    cb = FIDCallback(noisy, photos, every=2, extractor=Thumbnail(), bs=4)
    with_cb,without = learner([cb, CSVLogger(log)]),learner()
    for learn in (with_cb, without):
        with learn.no_bar(), learn.no_logging(): learn.fit(3, 1e-2)
    assert torch.equal(with_cb.model.weight, without.model.weight) # measured, it is the same run
    head,*rows = log.read_text().splitlines()
    assert head=='epoch,train_loss,valid_loss,fid_thumbnail,kid_thumbnail,colorfulness,time'
    assert [o.split(',')[3]=='nan' for o in rows]==[True, False, False]
    one,two = cb.measurements
    assert one['kid']-two['kid']==0 # the same noise, and a model that does not matter
    assert (one['fid'].extractor, one['fid'].n, one['colorfulness'].extractor)==('thumbnail', 6, '')
    assert len(with_cb.metrics)==0
    with with_cb.no_bar(): with_cb.validate() # outside of `fit` nothing is measured
    assert len(cb.measurements)==2
    with pytest.raises(ValueError, match='every'):
        FIDCallback(noisy, photos, every=0, extractor=Thumbnail())

def test_columns_that_come_later(tmp_path):
    """FID of the validation photographs, always at 256 px, when the budget is over

    The log grows a column, or begins anew when it was emptied."""
    again = lambda photos, **kwargs: train(pictures(8), tmp_path/'run', photos=photos, bs=8,
                                           **BRIEF, **kwargs)
    log = tmp_path/'run/log.csv'
    rows = lambda: list(csv.DictReader(log.open()))
    again(8)
    judge = FIDCallback(gray, every=5, extractor=Thumbnail())
    again(16, resume=True, cbs=[judge])
    one,two = rows()
    assert judge.photos.shape==(2,3,256,256)
    assert one['photos']=='8' and one['fid_thumbnail']=='' and float(two['fid_thumbnail'])>0
    log.write_text('')
    again(24, resume=True)
    assert [o['photos'] for o in rows()]==['24']
    with pytest.raises(ValueError, match='at least 2 validation photographs, got 1'):
        train(pictures(8), tmp_path/'one', photos=8, **{**BRIEF, 'valid': pictures(1)},
              cbs=[FIDCallback(extractor=Thumbnail())])

def test_epochs_count_on_in_a_resumed_run(tmp_path):
    judge = lambda: FIDCallback(gray, every=2, extractor=Thumbnail())
    run = lambda **kw: train(pictures(4), tmp_path/'run', bs=4, cbs=[judge()], **BRIEF, **kw)
    for photos in (4, 20): run(photos=photos, resume=photos>4)
    log = csv.DictReader((tmp_path/'run/log.csv').open())
    measured = [o['photos'] for o in log if o['fid_thumbnail']!='nan']
    assert measured==['4', '8', '16', '20'] # each run's end, too

def test_what_is_measured_is_the_averaged_network(tmp_path):
    "What `colorize_batch` makes of it with seeds that the callback's seed decides, in every part"
    seen = []
    def sample(learn, L, generator):
        rgb = colorize_with_learner(learn, L, generator)
        seen.append((learn.model is learn.ema.net, L, rgb))
        return rgb
    judge = FIDCallback(sample, extractor=Thumbnail(), bs=2, seed=7)
    learn = train(pictures(4), tmp_path/'run', photos=4, bs=4, net=random_net(NO_ENCODER),
                  cbs=[judge], **{**BRIEF, 'valid': pictures(3)})
    assert [o[0] for o in seen]==[True, True] and len(seen[1][1])==1
    generator = torch.Generator().manual_seed(7)
    for _,L,rgb in seen:
        seed = int(torch.randint(2**31, (), generator=generator))
        expected = colorize_batch(learn.ema.net, NO_ENCODER, L, [seed, seed+1][:len(L)])
        assert torch.equal(rgb, expected)
    assert torch.equal(seen[0][1], rgb_to_L(judge.photos[:2]))
    assert judge.photos.dtype==torch.uint8 and torch.equal(judge.photos, to_uint8(judge.photos))
