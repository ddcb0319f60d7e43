// What a WebP and a GIF say of more than the pixels of one frame

const text = new TextDecoder('latin1'), EXIF = 'Exif\0\0'

// {frames, exif, exifAt}: its EXIF and where the chunk of that lies
export function readWebp(b) {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength), out = {frames: 0}
  for (let i = 12; i+8 <= b.length;) {
    const kind = text.decode(b.subarray(i, i+4)), size = view.getUint32(i+4, true)
    if (kind === 'ANMF') out.frames++
    else if (kind === 'EXIF' && !out.exif) {
      const data = b.subarray(i+8, i+8+size), start = text.decode(data.subarray(0, EXIF.length))
      out.exif = start === EXIF ? data.subarray(EXIF.length) : data
      out.exifAt = i
    }
    i += 8+size+size%2
  }
  return out
}

// {frames}, as far as the file is whole: as `gif_comments` of `colorized.photo.words` walks it
export function readGif(b) {
  const table = flags => flags&128 ? 3*2**(flags%8+1) : 0
  let frames = 0, at = 13+table(b[10])
  while (b[at] === 0x21 || b[at] === 0x2c) { // an extension, a frame
    const isFrame = b[at] === 0x2c
    frames += isFrame
    at += isFrame ? 11+table(b[at+9]) : 2
    while (b[at]) at += 1+b[at]
    at++
  }
  return {frames}
}
