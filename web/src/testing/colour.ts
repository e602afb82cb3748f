/** WCAG contrast, CIEDE2000 and the Machado model of colour vision (severity 1), for the tests of the palette. */
export type Rgb = readonly [number, number, number]
type Lab = readonly [number, number, number]

export const VISIONS = ['normal', 'protan', 'deutan', 'tritan'] as const
export type Vision = (typeof VISIONS)[number]

const MACHADO: Record<Exclude<Vision, 'normal'>, readonly Rgb[]> = {
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}

const linear = (c: number) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
const gamma = (c: number) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055)
const clamp = (c: number) => Math.min(1, Math.max(0, c))
const dot = (a: Rgb, b: Rgb) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]

export function contrast(a: Rgb, b: Rgb): number {
  const light = (c: Rgb) => dot([0.2126, 0.7152, 0.0722], [linear(c[0]), linear(c[1]), linear(c[2])]) + 0.05
  const [x, y] = [light(a), light(b)]
  return Math.max(x, y) / Math.min(x, y)
}

export function seenBy(vision: Vision, colour: Rgb): Rgb {
  if (vision === 'normal') return colour
  const lin: Rgb = [linear(colour[0]), linear(colour[1]), linear(colour[2])]
  const [r, g, b] = MACHADO[vision].map((row) => gamma(clamp(dot(row, lin))))
  return [r ?? 0, g ?? 0, b ?? 0]
}

function labOf(colour: Rgb): Lab {
  const lin: Rgb = [linear(colour[0]), linear(colour[1]), linear(colour[2])]
  const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : (24389 / 27 * t + 16) / 116)
  const x = f(dot([0.4124564, 0.3575761, 0.1804375], lin) / 0.95047)
  const y = f(dot([0.2126729, 0.7151522, 0.072175], lin))
  const z = f(dot([0.0193339, 0.119192, 0.9503041], lin) / 1.08883)
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

const RAD = Math.PI / 180

function hueOf(a: number, b: number): number {
  const degrees = Math.atan2(b, a) / RAD
  return degrees < 0 ? degrees + 360 : degrees
}

function meanHue(h1: number, h2: number, grey: boolean): number {
  if (grey) return h1 + h2
  if (Math.abs(h1 - h2) <= 180) return (h1 + h2) / 2
  return h1 + h2 < 360 ? (h1 + h2 + 360) / 2 : (h1 + h2 - 360) / 2
}

/** CIEDE2000 of two colours. */
export function apart(one: Rgb, other: Rgb): number {
  const [L1, a1, b1] = labOf(one)
  const [L2, a2, b2] = labOf(other)
  const c7 = ((Math.hypot(a1, b1) + Math.hypot(a2, b2)) / 2) ** 7
  const g = 0.5 * (1 - Math.sqrt(c7 / (c7 + 25 ** 7)))
  const [A1, A2] = [a1 * (1 + g), a2 * (1 + g)]
  const [C1, C2] = [Math.hypot(A1, b1), Math.hypot(A2, b2)]
  const [h1, h2] = [hueOf(A1, b1), hueOf(A2, b2)]
  const grey = C1 * C2 === 0
  let dh = grey ? 0 : h2 - h1
  if (dh > 180) dh -= 360
  else if (dh < -180) dh += 360
  const dL = L2 - L1
  const dC = C2 - C1
  const dH = 2 * Math.sqrt(C1 * C2) * Math.sin((dh / 2) * RAD)
  const [Lm, Cm, hm] = [(L1 + L2) / 2, (C1 + C2) / 2, meanHue(h1, h2, grey)]
  const t = 1 - 0.17 * Math.cos((hm - 30) * RAD) + 0.24 * Math.cos(2 * hm * RAD) +
    0.32 * Math.cos((3 * hm + 6) * RAD) - 0.2 * Math.cos((4 * hm - 63) * RAD)
  const sL = 1 + (0.015 * (Lm - 50) ** 2) / Math.sqrt(20 + (Lm - 50) ** 2)
  const [sC, sH] = [1 + 0.045 * Cm, 1 + 0.015 * Cm * t]
  const rC = 2 * Math.sqrt(Cm ** 7 / (Cm ** 7 + 25 ** 7))
  const rT = -Math.sin(60 * Math.exp(-(((hm - 275) / 25) ** 2)) * RAD) * rC
  return Math.sqrt((dL / sL) ** 2 + (dC / sC) ** 2 + (dH / sH) ** 2 + rT * (dC / sC) * (dH / sH))
}
