"Photographs, an extractor that costs nothing, and files, for the tests of evaluation."
import numpy as np, torch
from PIL import Image
from torch import nn
from colorized.photo.lab import combine_to_rgb, rgb_to_lab, to_uint8

def square(im, size):
    im = Image.fromarray(im)
    k = size/min(im.size)
    im = im.resize((round(im.width*k), round(im.height*k)), Image.Resampling.BICUBIC)
    x,y = (im.width-size)//2,(im.height-size)//2
    return torch.tensor(np.array(im.crop((x, y, x+size, y+size)))).permute(2,0,1)

def spoil(rgb, scale):
    "The same photographs with their chroma multiplied"
    lab = rgb_to_lab(rgb)
    return to_uint8(combine_to_rgb(lab[:,:1], lab[:,1:]*scale))

def tinted(L, ab=(10., 20.)):
    "One tint for all"
    return combine_to_rgb(L, torch.tensor(ab).view(1,2,1,1).expand(len(L), 2, *L.shape[2:]))

def hwc(rgb): return rgb.permute(0,2,3,1).numpy()

class Thumbnail(nn.Module):
    name = 'thumbnail'
    def forward(self, rgb):
        return nn.functional.adaptive_avg_pool2d(rgb.float()/255, 4).flatten(1)

class Narrow(nn.Module):
    "A tenth of the features: the eigenvalues of a 1280 by 1280 matrix take seconds"
    name = 'narrow'
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, rgb): return self.net(rgb)[:,::10]

def save(folder, rgb, names=None, ext='png'):
    for i,o in enumerate(rgb):
        p = folder/f'{names[i] if names else i}.{ext}'
        p.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(o.permute(1,2,0).numpy()).save(p)
    return folder
