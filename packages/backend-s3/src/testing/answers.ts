interface Answer {
  readonly text: string;
}

export function answerOf(status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Answer {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return { text: `HTTP/1.1 ${status} -\r\n${lines.join('')}\r\n${body}` };
}

/** A refusal as S3 words it. Answers to HEAD have no document. */
export function refusalOf(status: number, code: string, method: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return answerOf(status, headers, method === 'HEAD' ? '' : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
}
