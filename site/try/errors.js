// What an error means, where the browser or ONNX Runtime says it in words of its own
export function inWords(e) {
  const message = e.message ?? `ONNX Runtime gave up (${e})` // its C++ throws numbers
  if (/memory|alloc|array length|OOM/i.test(message))
    return 'there is not enough memory; close other tabs or take a smaller photograph'
  return e instanceof RangeError ? 'the file is damaged' : message // read beyond its end
}
