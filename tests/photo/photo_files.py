"Small pictures, files of every kind made from them, and strangers who judge what comes out"
import io, struct, zlib
from pathlib import Path
import imagecodecs, numpy as np, pillow_heif, tifffile, torch
from PIL import Image
from skimage import color, data

torch.set_num_threads(1)
pillow_heif.register_heif_opener() # to write HEIC with; read_scan has a decoder of its own

IPTC = 'http://cv.iptc.org/newscodes/digitalsourcetype/'
rgb8 = np.ascontiguousarray(data.coffee()[100:180,200:311])
noise = np.random.default_rng(0).integers(0, 256, rgb8.shape, dtype=np.uint16)
rgb16 = rgb8.astype(np.uint16)*256+noise
gray8,gray16 = rgb8[...,1].copy(),rgb16[...,1].copy()
ab = 25*torch.randn(1, 2, 8, 12, generator=torch.Generator().manual_seed(0))

def L_of(rgb, top): return color.rgb2lab(rgb.astype(float)/top)[...,0]
def gray_L_of(gray, top): return L_of(np.stack([gray]*3, -1), top)
def is_close(scan, L, eps): return np.abs(scan.L()[0,0].numpy()-L).max()<eps
def largest(a, b): return np.abs(np.asarray(a).astype(int)-b).max()

def picture(x, **kwargs): return lambda path: Image.fromarray(x).save(path, **kwargs)
def tiff(x, **kwargs): return lambda path: tifffile.imwrite(path, x, **kwargs)
def encoded(encode, x, **kwargs): return lambda path: Path(path).write_bytes(encode(x, **kwargs))
WRITE = { # Name -> what writes such a file, without loss but for JPEG
    'g8.tif': picture(gray8),
    'g16.tif': tiff(gray16, photometric='minisblack'),
    'g16_lzw.tif': tiff(gray16, compression='lzw', predictor=True),
    'g16_be.tif': tiff(gray16, byteorder='>'),
    'g16_white.tif': tiff(65535-gray16, photometric='miniswhite'),
    'g8_white.tif': tiff(255-gray8, photometric='miniswhite'),
    'rgb16.tif': tiff(rgb16, photometric='rgb'),
    'rgb16_deflate.tif': tiff(rgb16, photometric='rgb', compression='adobe_deflate',
                              predictor=True),
    'rgb16_tiles.tif': tiff(rgb16, photometric='rgb', tile=(64,64), compression='lzw'),
    'rgb16_planes.tif': tiff(rgb16.transpose(2,0,1), photometric='rgb', planarconfig='separate'),
    'rgb8_zstd.tif': tiff(rgb8, photometric='rgb', compression='zstd'),
    'rgb8_tiles.tif': tiff(rgb8, photometric='rgb', tile=(32,32), compression='adobe_deflate'),
    'rgb16_big.tif': tiff(rgb16, photometric='rgb', bigtiff=True),
    'f32.tif': tiff((rgb16/65535).astype(np.float32), photometric='rgb'),
    'f32_gray.tif': tiff((gray16/65535).astype(np.float32)),
    'u32.tif': tiff(gray16.astype(np.uint32)*65537),
    'g8.png': picture(gray8),
    'g16.png': picture(gray16),
    'rgb8.png': picture(rgb8),
    'rgb16.png': encoded(imagecodecs.png_encode, rgb16),
    'rgb8.bmp': picture(rgb8),
    'rgb8.webp': picture(rgb8, lossless=True),
    'g8.jpg': picture(gray8, quality=100),
    'rgb8.jpg': picture(rgb8, quality=100, subsampling=0),
    'rgb8.jp2': picture(rgb8),
    'rgb16.jp2': encoded(imagecodecs.jpeg2k_encode, rgb16, level=0, codecformat='jp2')}

def heic(x, mode, **kwargs):
    "The bytes of a HEIC file, as good as x265 can make it"
    out = io.BytesIO()
    picture = pillow_heif.from_bytes(mode, x.shape[1::-1], x.tobytes())
    picture.save(out, quality=-1, chroma=444, **kwargs)
    return out.getvalue()

def png_chunk(kind, data):
    return struct.pack('>I', len(data))+kind+data+struct.pack('>I', zlib.crc32(kind+data))

def exif_with(**tags):
    "EXIF of the first directory: `exif_with(orientation=6)`"
    codes = dict(orientation=274, description=270, make=271)
    exif = Image.Exif()
    for k,v in tags.items(): exif[codes[k]] = v
    return exif
