// Here and in coffer.js, getBuiltinModule: importing a built-in module evaluates all of its exports, which takes 4 ms for node:fs alone.
const fs = process.getBuiltinModule('node:fs');
const { basename, dirname, isAbsolute, join } = process.getBuiltinModule('node:path');
const { Script } = process.getBuiltinModule('node:vm');

const cacheAfterMs = 2000;
const staleMs = 30 * 24 * 3600 * 1000;

/**
 * The build in a folder, with the cached code of the command that these arguments begin with.
 * @param {string} root ends with a slash
 * @param {readonly string[]} args
 */
export function programIn(root, args) {
  // oxlint-disable-next-line node/no-process-env -- Node's own switch for such caches
  const cache = process.env.NODE_DISABLE_COMPILE_CACHE === undefined ? cacheOf(root, args) : undefined;
  return new Program(root, cache);
}

/**
 * Only in the user's own home folder: in another one, somebody else may have planted files, and root would leave folders that their
 * owner cannot use.
 * @param {string} root
 * @param {readonly string[]} args
 */
function cacheOf(root, args) {
  const caches = { darwin: ['Library', 'Caches'], win32: ['AppData', 'Local'] }[process.platform] ?? ['.cache'];
  try {
    const home = process.getBuiltinModule('node:os').homedir();
    if (!isAbsolute(home) || !isOwn(fs.statSync(home))) return undefined;
    const build = fs.readFileSync(join(root, 'id'), 'latin1');
    return new CodeCache(home, [...caches, 'coffer', 'compiled', `${build}-${process.version}-${process.arch}`], commandName(root, args));
  } catch {
    return undefined; // no home folder or no build id
  }
}

/** @param {import('node:fs').Stats} stats */
function isOwn({ uid }) {
  return uid === (process.geteuid?.() ?? uid);
}

/**
 * The words of the command joined with dashes, or "other".
 * @param {string} root
 * @param {readonly string[]} args
 */
function commandName(root, args) {
  for (const count of [2, 3]) {
    const words = args.slice(0, count);
    if (words.every((word) => /^[a-z]+$/.test(word)) && fs.existsSync(join(root, 'commands', `${words.join('/')}.cjs`)))
      return words.join('-');
  }
  return 'other';
}

/**
 * The files of a build. They are CommonJS, and this class loads them instead of Node, to control what V8 caches. V8 compiles a
 * function when it is first called, so a cache made before anything runs, like Node's own compile cache, contains no functions. This
 * one is made once a command has run (docs/adr/0014).
 */
class Program {
  #root;
  #cache;
  /** @type {Map<string, { exports: unknown }>} */
  #modules = new Map();
  /** @type {Map<string, import('node:vm').Script>} */
  #scripts = new Map();
  #isComplete = true;

  /**
   * @param {string} root the folder of the build, ending with a slash
   * @param {CodeCache | undefined} cache
   */
  constructor(root, cache) {
    this.#root = root;
    this.#cache = cache;
    if (cache === undefined) return;
    setTimeout(() => this.#saveCache(), cacheAfterMs).unref(); // later, V8 may have dropped code that only a start calls
    process.once('exit', (code) => code === 0 && this.#saveCache());
  }

  /**
   * The exports of a file of the build.
   * @param {string} name path relative to the build folder
   * @returns {unknown}
   */
  load(name) {
    const loaded = this.#modules.get(name);
    if (loaded !== undefined) return loaded.exports;
    const module = { exports: {} };
    this.#modules.set(name, module);
    const file = join(this.#root, name);
    const cachedData = this.#cache?.codeOf(name);
    // The build writes ASCII only, see build/plain-characters.ts.
    const source = `(function (exports, require, module, __filename, __dirname, __import) {${fs.readFileSync(file, 'latin1')}\n})`;
    const script = new Script(source, { filename: file, cachedData });
    if (cachedData === undefined || script.cachedDataRejected === true) this.#isComplete = false;
    this.#scripts.set(name, script);
    const run = /** @type {(...args: readonly unknown[]) => void} */ (script.runInThisContext());
    run(module.exports, this.#requireFor(file), module, file, dirname(file), importModule);
    return module.exports;
  }

  /** @param {string} file */
  #requireFor(file) {
    /** @type {NodeJS.Require | undefined} */
    let cachedRequire;
    const nodeRequire = () => (cachedRequire ??= process.getBuiltinModule('node:module').createRequire(file));
    /**
     * @param {string} id
     * @returns {unknown}
     */
    const require = (id) => {
      if (id === '#oclif') return this.load('oclif.cjs'); // as in `imports` of package.json
      const path = id.startsWith('.') ? join(dirname(file), id) : id;
      return path.startsWith(this.#root) ? this.load(path.slice(this.#root.length)) : nodeRequire()(id);
    };
    return Object.defineProperty(require, 'resolve', { get: () => nodeRequire().resolve });
  }

  #saveCache() {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#cache?.write(new Map([...this.#scripts].map(([name, script]) => [name, script.createCachedData()])));
  }
}

/** @param {string} name */
const importModule = (name) => import(name);

/**
 * The compiled code of one command, in one file: the length of an index, the index, and the code that it lists. All of that is stored
 * twice, because V8 trusts what it is given, and comparing the halves takes a hundredth of the time of loading node:zlib for a
 * checksum. A damaged file is made anew. V8 itself rejects code from another version of V8.
 */
class CodeCache {
  #home;
  #folders;
  #file;
  /** @type {Map<string, Buffer>} */
  #entries = new Map();

  /**
   * @param {string} home folder to create the others in
   * @param {readonly string[]} folders
   * @param {string} command
   */
  constructor(home, folders, command) {
    this.#home = home;
    this.#folders = folders;
    this.#file = join(home, ...folders, `${command}.bin`);
    try {
      this.#read();
    } catch {
      this.#entries.clear(); // no file, or no valid one
    }
  }

  /** @param {string} name */
  codeOf(name) {
    return this.#entries.get(name);
  }

  #read() {
    const stats = fs.statSync(this.#file);
    if (!stats.isFile() || !isOwn(stats)) return;
    const bytes = fs.readFileSync(this.#file);
    const half = bytes.length / 2;
    if (!bytes.subarray(0, half).equals(bytes.subarray(half))) return;
    const start = 4 + bytes.readUInt32LE(0);
    const index = /** @type {[string, number, number][]} */ (JSON.parse(bytes.toString('latin1', 4, start)));
    for (const [name, at, length] of index) this.#entries.set(name, bytes.subarray(start + at, start + at + length));
  }

  /**
   * Adds to what is cached: a command loads other files for another storage backend.
   * @param {ReadonlyMap<string, Buffer>} code
   */
  write(code) {
    const all = new Map([...this.#entries, ...code]);
    /** @type {[string, number, number][]} */
    const index = [];
    let at = 0;
    for (const [name, { length }] of all) {
      index.push([name, at, length]);
      at += length;
    }
    const indexBytes = Buffer.from(JSON.stringify(index));
    const header = Buffer.alloc(4);
    header.writeUInt32LE(indexBytes.length);
    const parts = [header, indexBytes, ...all.values()];
    const temporary = `${this.#file}.${process.pid}`;
    try {
      this.#makeFolders();
      removeUnfinished(this.#file);
      fs.writeFileSync(temporary, Buffer.concat([...parts, ...parts]), { mode: 0o600 });
      fs.renameSync(temporary, this.#file);
    } catch {
      remove(temporary); // it cannot be written here
    }
  }

  /** One by one: with `recursive`, Node would loop forever below some folders that accept no new ones. */
  #makeFolders() {
    let folder = this.#home;
    for (const name of this.#folders) {
      const parent = folder;
      folder = join(parent, name);
      if (fs.existsSync(folder)) continue;
      fs.mkdirSync(folder, 0o700);
      if (name === this.#folders.at(-1)) removeUnused(parent);
    }
  }
}

/**
 * Removes what processes left that were killed while they wrote this cache. A process that is writing it now fails to rename its own
 * then, and keeps none.
 * @param {string} file
 */
function removeUnfinished(file) {
  for (const name of fs.readdirSync(dirname(file))) if (name.startsWith(`${basename(file)}.`)) remove(join(dirname(file), name));
}

/** @param {string} file */
function remove(file) {
  try {
    fs.unlinkSync(file);
  } catch {
    // it was never there
  }
}

/**
 * Removes builds whose cache has not grown for a month. A build still in use makes its cache again.
 * @param {string} folder
 */
function removeUnused(folder) {
  for (const name of fs.readdirSync(folder)) {
    const build = join(folder, name);
    if (Date.now() - fs.statSync(build).mtimeMs > staleMs) fs.rmSync(build, { recursive: true, force: true });
  }
}
