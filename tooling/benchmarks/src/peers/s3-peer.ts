import postgres from 'postgres-as-published';

/** The options of a peer that keeps its files in S3: its only argument, as JSON. */
export interface S3PeerOptions {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
  readonly databaseUrl: string;
  /** Concurrent sockets to S3. */
  readonly sockets: number;
}

export function s3PeerOptions(): S3PeerOptions {
  return JSON.parse(process.argv[2] ?? '') as S3PeerOptions;
}

export interface PeerFile {
  readonly id: string;
  readonly owner: string;
  readonly filename: string;
  readonly contentType: string;
  readonly size: number;
  readonly status: 'available' | 'pending';
}

/** The one table of both peers, in hand-written SQL. */
export async function peerFiles(databaseUrl: string) {
  const sql = postgres(databaseUrl, { max: 10, onnotice: () => {} });
  await sql`create table peer_files (id uuid primary key, owner_id text not null, filename text not null, content_type text not null,
    size_bytes int8 not null, status text not null, created_at timestamptz not null default now())`;
  await sql`create index on peer_files (owner_id, created_at desc)`;
  return {
    insert: ({ id, owner, filename, contentType, size, status }: PeerFile) =>
      sql`insert into peer_files (id, owner_id, filename, content_type, size_bytes, status)
        values (${id}, ${owner}, ${filename}, ${contentType}, ${size}, ${status})`,
    find: async (id: string, owner: string) => {
      const [file] = await sql<{ filename: string; content_type: string; size_bytes: string }[]>`
        select filename, content_type, size_bytes from peer_files where id = ${id} and owner_id = ${owner} and status = 'available'`;
      return file;
    },
    newest: (owner: string, limit: number) =>
      sql`select id, filename, content_type, size_bytes, status, created_at from peer_files
        where owner_id = ${owner} order by created_at desc limit ${limit}`,
  };
}
