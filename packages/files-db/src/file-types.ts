import { FileTypeParser, supportedMimeTypes } from 'file-type';

export { supportedMimeTypes };

interface Place {
  readonly offset?: number;
  readonly mask?: readonly number[];
}

/** The parser's checks of the bytes: some two hundred for a file that it does not know. */
interface Checks {
  readonly buffer: Uint8Array;
  check(header: ArrayLike<number>, place?: Place): boolean;
}

const OpenParser = FileTypeParser as unknown as new () => FileTypeParser & Checks;

/** Bytes that a format has at an offset; bits outside the mask do not count. */
interface Mark {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly mask: Uint8Array;
}

/** Records every check that the parser makes of a file that matches none. */
class RecordingParser extends OpenParser {
  readonly marks: Mark[] = [];

  override check(header: ArrayLike<number>, { offset = 0, mask: maskOption }: Place = {}): boolean {
    const bytes = Uint8Array.from(header);
    const mask = Uint8Array.from(header, (_byte, index) => maskOption?.[index] ?? 0xff);
    // The parser reads as it checks. Bytes not read yet are zero in its buffer, whatever the file has there; this file has no zeros.
    for (const [index, byte] of bytes.entries()) {
      if (this.buffer[offset + index] !== 0) continue;
      if (byte !== 0) return false;
      mask[index] = 0;
    }
    this.marks.push({ offset, bytes, mask });
    return false;
  }
}

/** By offset, then by the byte at that offset: the marks that may match there. */
type Index = readonly (readonly [offset: number, byFirst: readonly (readonly Mark[] | undefined)[]])[];

async function indexOfMarks(): Promise<Index> {
  const parser = new RecordingParser();
  await parser.fromBuffer(new Uint8Array(8192).fill(0xab));
  const index = new Map<number, Mark[][]>();
  for (const mark of parser.marks) {
    const byFirst = index.get(mark.offset) ?? [];
    index.set(mark.offset, byFirst);
    for (let first = 0; first < 256; first++) if ((first & mark.mask[0]!) === mark.bytes[0]) (byFirst[first] ??= []).push(mark);
  }
  return [...index];
}

let loadingIndex: Promise<Index> | undefined;

/** Whether any check of the parser would match. If none would, the parser's answer is known; calling it is 7 % of a small upload. */
function hasMark(sample: Uint8Array, index: Index): boolean {
  for (const [offset, byFirst] of index) {
    const marks = byFirst[sample[offset] ?? 0];
    if (marks?.some((mark) => isAt(sample, mark)) === true) return true;
  }
  return false;
}

/** Bytes beyond the end of a short file match nothing. The parser would take them for zeros, and two bytes for a font. */
function isAt(sample: Uint8Array, { offset, bytes, mask }: Mark): boolean {
  for (let at = 0; at < bytes.length; at++) {
    const byte = sample[offset + at];
    if (byte === undefined ? mask[at] !== 0 : (byte & mask[at]!) !== bytes[at]) return false;
  }
  return true;
}

// Nothing else begins so, also where the header that the parser insists on is damaged or cut off.
const pngMark: Mark = {
  offset: 0,
  bytes: Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
  mask: new Uint8Array(8).fill(0xff),
};

/** @returns the media type of a file that begins like this; undefined if its first bytes do not tell */
export async function typeOfBytes(sample: Uint8Array): Promise<string | undefined> {
  if (!hasMark(sample, await (loadingIndex ??= indexOfMarks()))) return undefined;
  const found = await new FileTypeParser().fromBuffer(sample).catch(() => undefined);
  return found?.mime ?? (isAt(sample, pngMark) ? 'image/png' : undefined);
}
