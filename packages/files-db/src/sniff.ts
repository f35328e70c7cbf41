import { isUtf8 } from 'node:buffer';

import { contentTypeOf, defaultContentType, isContentType, withoutTabs } from '@coffer/storage-core';

import type * as FileTypes from './file-types.ts';

/** How many of the first bytes identify most files. */
export const sampleBytes = 4100;

const textBytes = 1024;

// Formats on which others are built: the first bytes need not show which.
const containers = /^application\/(?:zip|x-cfb|gzip|x-tar|x-sqlite3|x-7z-compressed|xml)$/;
const textual =
  /^(?:text|message|multipart)\/|[/+](?:json|jsonl|xml|html|javascript|ecmascript|typescript|yaml|x-sh|x-ndjson|sql|toml|rtf)$/;

// Types that stand for each other, whichever of them the bytes show and whichever was declared.
const families: readonly RegExp[] = [
  /^application\/(?:(?:x-)?zip(?:-compressed)?|.*\+zip|java-archive|x-xpinstall|msword|vnd\.(?:ms-|openxmlformats|oasis|apple|android|visio).*)$|^model\/3mf$/,
  /^application\/(?:x-cfb|x-ole-storage|x-msi|ms-?(?:word|excel|powerpoint|outlook)|vnd\.(?:ms-|visio).*)$/,
  /^(?:(?:audio|video)\/(?:x-)?(?:mp4|m4[abpv]|quicktime|3gpp2?|aac|mp4a-latm)|application\/mp4)$/,
  /^image\/(?:hei[cf]|avif)(?:-sequence)?$/,
  /^(?:audio|video|application)\/(?:x-)?(?:ogg|opus|speex|vorbis|theora|flac)$/,
  /^(?:audio|video)\/(?:x-)?(?:webm|matroska|matroska-3d)$/,
  /^(?:audio|video)\/(?:x-)?(?:mpeg|mpg|mpeg3|mp[123]|mp1s|mp2[pt])$/,
  /^audio\/(?:x-|vnd\.)?(?:wave?|pn-wav)$/,
  /^video\/(?:x-|vnd\.)?(?:avi|msvideo)$/,
  /^(?:(?:audio|video)\/x-ms-.*|application\/vnd\.ms-asf)$/,
  /^image\/(?:x-)?(?:p?jpe?g|jps)$/,
  /^image\/(?:x-)?a?png$/,
  /^image\/(?:x-|x-ms-|x-windows-)?bmp$/,
  /^image\/(?:x-icon|ico|vnd\.microsoft\.icon)$/,
  /^image\/(?:tiff.*|x-(?:adobe|canon|nikon|sony|olympus|panasonic|fujifilm|pentax)-.*)$/,
  /^(?:application\/(?:x-)?(?:pdf|postscript|eps|illustrator|vnd\.adobe\.illustrator)|image\/x-eps)$/,
  /^application\/(?:x-)?(?:gzip|tgz|gtar|tar|compressed(?:-tar)?)$/,
  /^(?:font|application)\/(?:x-)?(?:font-)?(?:woff2?|ttf|otf|opentype|truetype|sfnt|collection|vnd\.ms-fontobject)$/,
  /^application\/(?:x-(?:elf|executable|pie-executable|sharedlib|object|mach-binary|msdownload|msdos-program|dosexec)|vnd\.microsoft\.portable-executable)$/,
  /^(?:application\/(?:x-)?(?:rtf|msword)|text\/rtf)$/,
];

/**
 * The media type to store for a file: the declared one, unless its first bytes clearly show something else. Without a declaration, what the
 * bytes or else the name show; `application/octet-stream`, which says nothing, gives way to whatever the bytes show.
 */
export async function decideContentType(request: {
  readonly declared: string | undefined;
  readonly filename: string;
  readonly sample: Uint8Array;
}): Promise<string> {
  const { filename, sample } = request;
  const declared = request.declared !== undefined && isContentType(request.declared) ? withoutTabs(request.declared) : undefined;
  const bare = bareType(declared ?? defaultContentType);
  const detected = sample.length === 0 ? undefined : looksLikeText(sample) ? detectMarkup(sample) : await detectBinary(sample);
  if (detected === undefined) return declared ?? contentTypeOf(filename);
  if (declared !== undefined && bare !== defaultContentType) return (await contradicts(detected, bare)) ? detected : declared;
  // The bytes of a .docx may show no more than a ZIP; its name then says more.
  const named = contentTypeOf(filename);
  return named === defaultContentType || (await contradicts(detected, named)) ? detected : named;
}

async function contradicts(detected: string, declared: string): Promise<boolean> {
  const found = bareType(detected);
  if (found === declared || families.some((family) => family.test(found) && family.test(declared))) return false;
  if (textual.test(declared)) return !textual.test(found) && found !== 'image/svg+xml';
  // Other formats may consist of markup, or of such a container: only types that the bytes would have shown clash.
  const open = containers.test(found) || found === 'text/html' || found === 'image/svg+xml';
  if (!open) return true;
  const wouldShow: ReadonlySet<string> = (await fileTypes()).supportedMimeTypes;
  return wouldShow.has(declared) || (found !== 'application/zip' && /^(?:image|audio|video|font)\//.test(declared));
}

function bareType(type: string): string {
  return (type.split(';', 1)[0] ?? type).trim().toLowerCase();
}

// Loaded for the first file that is not text, and only once: importing it again takes as long as looking at a file.
let loading: Promise<typeof FileTypes> | undefined;

async function fileTypes(): Promise<typeof FileTypes> {
  return (loading ??= import('./file-types.ts').catch((error: unknown) => {
    loading = undefined; // for example too many open files: the next file tries again
    throw error;
  }));
}

async function detectBinary(sample: Uint8Array): Promise<string | undefined> {
  const { typeOfBytes } = await fileTypes();
  return typeOfBytes(sample);
}

/**
 * Whether the first bytes are UTF-8 without control characters. Such bytes are not matched against signatures: "BM" begins a bitmap, but
 * also a letter to BMW.
 */
function looksLikeText(sample: Uint8Array): boolean {
  const head = sample.subarray(0, textBytes);
  for (const byte of head) {
    if (byte === 0x7f || (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13 && byte !== 27)) return false;
  }
  return isUtf8(head) || [1, 2, 3].some((cut) => head.length > cut && isCutCharacter(head, cut) && isUtf8(head.subarray(0, -cut)));
}

/** Whether the last bytes may begin a character: the end of the sample may cut one. */
function isCutCharacter(bytes: Uint8Array, length: number): boolean {
  return ((bytes.at(-length) ?? 0) & 0xc0) === 0xc0;
}

/** The type that text states about itself beyond doubt. */
function detectMarkup(sample: Uint8Array): string | undefined {
  const head = Buffer.from(sample.buffer, sample.byteOffset, Math.min(sample.length, textBytes)).toString('utf8');
  const start = head.replace(/^\uFEFF/, '').trimStart();
  if (start.startsWith('%PDF-')) return 'application/pdf';
  if (start.startsWith('{\\rtf')) return 'application/rtf';
  if (/^GIF8[79]a/.test(head)) return 'image/gif';
  if (!start.startsWith('<')) return undefined;
  if (/^(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/i.test(start)) return 'image/svg+xml';
  if (/^(?:<!--[^>]*-->\s*)?<(?:!DOCTYPE html|html|head|body|script|iframe)[\s>]/i.test(start)) return 'text/html';
  return start.startsWith('<?xml') ? 'application/xml' : undefined;
}
