"Previews: three rows of photographs, written whole, after the epochs that were asked for"
import numpy as np, torch
from PIL import Image
from fastai.callback.core import Callback
from colorized.photo.lab import rgb_to_L
from colorized.training.previews import colorize_batch
from colorized.training.train import train
from colorized.training.sources import PhotoFolder
from training_helpers import BRIEF, NO_ENCODER, crops, pictures, random_net

def test_previews_of_a_run(tmp_path):
    "Gray input, coloring with the averaged network, truth; of at most eight photographs"
    learn = train(pictures(4), tmp_path/'run', photos=8, bs=4, net=random_net(NO_ENCODER),
                  **{**BRIEF, 'valid': pictures(9)})
    files = sorted(o.name for o in (tmp_path/'run').glob('*preview*'))
    assert files==['preview-00000004.png', 'preview-00000008.png']
    im = np.asarray(Image.open(tmp_path/'run'/files[-1]))
    assert im.shape==(3*64,8*64,3) and (im==np.asarray(learn.preview.image)).all()
    gray,color,true = im.reshape(3,64,8,64,3).transpose(0,2,1,3,4)
    assert (gray[...,0]==gray[...,1]).all() and (gray[...,0]==gray[...,2]).all()
    examples = learn.dls.valid_ds
    picks = [examples[i] for i in np.linspace(0, 8, 8).astype(int)]
    L = torch.stack([o[0] for o in picks])
    assert abs(gray[...,0]/255-L[:,0].numpy()/100).max()<0.01
    expected = colorize_batch(learn.ema.net, NO_ENCODER, L, list(range(8)))
    made = torch.from_numpy(color.copy()).permute(0,3,1,2)/255
    assert (made-expected).abs().max()<0.01
    assert (made-torch.from_numpy(true.copy()).permute(0,3,1,2)/255).abs().mean()>0.02

def test_no_other_run_learns_from_previews(tmp_path):
    "They carry the note of all outputs"
    data = crops(tmp_path/'photos', 4, 64)
    train(data, data/'one', photos=4, bs=4, **BRIEF)
    photos = PhotoFolder(data, exclude=[data/'two'])
    assert len(photos)==4 and [o.name for o in photos.generated]==['preview-00000004.png']

class EverySecond(Callback):
    def before_fit(self): self.learn.preview.every = 2

def test_epochs_between_previews(tmp_path):
    train(pictures(4), tmp_path/'run', photos=12, bs=4, cbs=[EverySecond()], **BRIEF)
    assert [o.name for o in (tmp_path/'run').glob('*.png')]==['preview-00000008.png']

def test_epochs_count_on_in_a_resumed_run(tmp_path):
    "One is seen after every second epoch of the run, whenever it was begun again"
    run = lambda **kw: train(pictures(4), tmp_path/'run', bs=4, cbs=[EverySecond()], **BRIEF, **kw)
    for photos in (4, 16): run(photos=photos, resume=photos>4)
    names = sorted(o.name for o in (tmp_path/'run').glob('*.png'))
    assert names==['preview-00000008.png', 'preview-00000016.png']

def test_lightness_stays_and_seeds_decide():
    net,L = random_net(NO_ENCODER),torch.rand(3,1,64,64)*60+20
    rgb = colorize_batch(net, NO_ENCODER, L, [5,6,5])
    assert rgb.dtype==torch.float32 and rgb.shape==(3,3,64,64)
    assert (rgb_to_L(rgb)-L).abs().max()<1
    assert torch.equal(rgb, colorize_batch(net, NO_ENCODER, L, [5,6,5]))
    other = colorize_batch(net, NO_ENCODER, L, [5,7,5])
    assert (other[1]-rgb[1]).abs().max()>0.01 and (other[0]-rgb[0]).abs().max()<0.01
