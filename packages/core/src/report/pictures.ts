/** Which pictures of a run its report holds. */

const MOST = 40;
const MOST_BYTES = 24 * 2 ** 20;
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const IEND = [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82];

export interface PictureFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface PickedPicture {
  readonly name: string;
  readonly caption: string;
}

/**
 * Some of the png files, spread evenly over time, the first and the last among them: at most 40, and no more than the
 * page can carry. `epoch-0010.png` is of epoch 10; other names come first, in their own order.
 */
export function pickPictures(files: readonly PictureFile[]): { picked: PickedPicture[]; count: number } {
  const pictures = files
    .filter(
      ({ name, size }) => /\.png$/i.test(name) && !name.startsWith(".") && size > 0 && size <= MOST_BYTES,
    )
    .map(({ name, size }) => ({ name, size, ...timeOf(name) }))
    .sort((a, b) => a.time - b.time || a.name.localeCompare(b.name, "en", { numeric: true }));
  const bytes = pictures.reduce((sum, { size }) => sum + size, 0);
  const fitting = Math.floor((MOST_BYTES / Math.max(bytes, 1)) * pictures.length);
  const most = Math.min(pictures.length, MOST, Math.max(1, fitting));
  const picked = Array.from({ length: most }, (_, i) => {
    const { name, caption } = pictures[spreadIndex(i, most, pictures.length)]!;
    return { name, caption };
  });
  return { picked, count: pictures.length };
}

/** Size of a picture in pixels, undefined where it is not a PNG from its first byte to its last. */
export function readPng(bytes: Uint8Array): { width: number; height: number } | undefined {
  const starts = SIGNATURE.every((byte, i) => bytes[i] === byte);
  const ends = IEND.every((byte, i) => bytes[bytes.length - IEND.length + i] === byte);
  if (!starts || !ends || bytes.length < 45) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

function timeOf(name: string): { time: number; caption: string } {
  const stem = name.replace(/\.png$/i, "");
  const match = /^(epoch|step)[-_]?(\d{1,12}(?:\.\d{1,6})?)[-_]?(.*)$/i.exec(stem);
  if (match === null) return { time: -1, caption: stem };
  const [, unit, number, rest] = match as unknown as [string, string, string, string];
  const time = Number(number);
  return { time, caption: `${unit === "step" ? "Step" : "Epoch"} ${time}${rest && `, ${rest}`}` };
}

/** The last picture is the one that matters where there is room for one only. */
const spreadIndex = (i: number, most: number, count: number) =>
  most === 1 ? count - 1 : Math.round((i * (count - 1)) / (most - 1));
