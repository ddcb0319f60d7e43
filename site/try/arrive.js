// How a photograph arrives: chosen, dropped anywhere, or one of ours

const $ = id => document.getElementById(id)

let newest = 0 // wish for a photograph: an answer to one before it comes too late

// ---- chosen or dropped ----
export function listen(open) {
  const take = file => {
    newest++
    open(file)
  }
  $('file').onchange = () => {
    const [file] = $('file').files
    if (file) take(file)
    $('file').value = ''
  }
  let over = 0
  const carries = e => [...(e.dataTransfer?.types ?? [])].includes('Files')
  const hover = n => {
    over = Math.max(0, n)
    document.body.classList.toggle('over', over > 0)
  }
  addEventListener('dragenter', e => carries(e) && (e.preventDefault(), hover(over+1)))
  addEventListener('dragleave', e => carries(e) && hover(over-1))
  addEventListener('dragover', e => carries(e) && e.preventDefault())
  addEventListener('drop', e => {
    if (!carries(e)) return
    e.preventDefault()
    hover(0)
    if (e.dataTransfer.files.length) take(e.dataTransfer.files[0])
  })
}

// ---- ours, also by address: try.html#campus-1910 ----
function button({name, title}, take) {
  const b = document.createElement('button'), i = new Image()
  i.src = `try/photographs/${name}.small.jpg`
  i.alt = title
  Object.assign(b, {id: name, type: 'button', title, onclick: take})
  b.append(i)
  return b
}

// Fulfilled when all are on the page
export async function offer(open, complain) {
  const {photographs} = await (await fetch('try/files.json')).json()
  const take = async name => {
    const mine = ++newest
    let why = 'This photograph is not kept on your computer; it needs the network.', blob = null
    try {
      const response = await fetch(`try/photographs/${name}.jpg`)
      if (response.ok) blob = await response.blob()
      else why = `This photograph could not be fetched (${response.status}).`
    } catch {} // no network
    if (mine !== newest) return
    if (blob) open(new File([blob], `${name}.jpg`))
    else complain(why)
  }
  $('photographs').append(...photographs.map(o => button(o, () => take(o.name))))
  const asked = photographs.find(o => o.name === location.hash.slice(1))
  if (asked) take(asked.name)
  const images = [...$('photographs').querySelectorAll('img')]
  await Promise.allSettled(images.map(i => i.decode()))
}
