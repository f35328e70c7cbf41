// getBuiltinModule, here and in coffer.js: an import of a module of Node evaluates all that it exports, which takes 4 ms for node:fs alone.
const fs = process.getBuiltinModule('node:fs');
const { dirname, isAbsolute, join } = process.getBuiltinModule('node:path');
const { Script } = process.getBuiltinModule('node:vm');

const afterMs = 2000;
const staleMs = 30 * 24 * 3600 * 1000;

/**
 * The build in a folder, with what is known of the command that these arguments begin with.
 * @param {string} root ends with a slash
 * @param {readonly string[]} args
 */
export function programIn(root, args) {
  // oxlint-disable-next-line node/no-process-env -- Node's own switch for such caches
  const cache = process.env.NODE_DISABLE_COMPILE_CACHE === undefined ? cacheOf(root, args) : undefined;
  return new Program(root, cache);
}

/**
 * In the home folder of whoever this is: in others lies what somebody else may have put there, and root would leave folders that are
 * no use to their owner.
 * @param {string} root
 * @param {readonly string[]} args
 */
function cacheOf(root, args) {
  const caches = { darwin: ['Library', 'Caches'], win32: ['AppData', 'Local'] }[process.platform] ?? ['.cache'];
  try {
    const home = process.getBuiltinModule('node:os').homedir();
    if (!isAbsolute(home) || !isOwn(fs.statSync(home))) return undefined;
    const build = fs.readFileSync(join(root, 'id'), 'latin1');
    return new CodeCache(home, [...caches, 'coffer', 'compiled', `${build}-${process.version}-${process.arch}`], nameOf(root, args));
  } catch {
    return undefined; // there is none
  }
}

/** @param {import('node:fs').Stats} stats */
function isOwn({ uid }) {
  return uid === (process.geteuid?.() ?? uid);
}

/**
 * The words of the command, if it is one of ours.
 * @param {string} root
 * @param {readonly string[]} args
 */
function nameOf(root, args) {
  for (const count of [2, 3]) {
    const words = args.slice(0, count);
    if (words.every((word) => /^[a-z]+$/.test(word)) && fs.existsSync(join(root, 'commands', `${words.join('/')}.cjs`)))
      return words.join('-');
  }
  return 'other';
}

/**
 * The files of a build. They are CommonJS, loaded here and not by Node, for the sake of what V8 compiles: a function is compiled
 * when it is first called, so that a cache that is made before, as Node's own compile cache is, has none of them. This one is made
 * once a command has run (docs/adr/0014).
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
   * @param {string} root the folder of the build, with a slash at its end
   * @param {CodeCache | undefined} cache
   */
  constructor(root, cache) {
    this.#root = root;
    this.#cache = cache;
    if (cache === undefined) return;
    setTimeout(() => this.#keep(), afterMs).unref(); // later, V8 may have let go of what only a start calls
    process.once('exit', (code) => code === 0 && this.#keep());
  }

  /**
   * What a file of the build exports.
   * @param {string} name as from its folder
   * @returns {unknown}
   */
  load(name) {
    const known = this.#modules.get(name);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    this.#modules.set(name, module);
    const file = join(this.#root, name);
    const cachedData = this.#cache?.codeOf(name);
    // All of it is ASCII, see build/plain-characters.ts.
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
    let node;
    const nodes = () => (node ??= process.getBuiltinModule('node:module').createRequire(file));
    /**
     * @param {string} id
     * @returns {unknown}
     */
    const require = (id) => {
      if (id === '#oclif') return this.load('oclif.cjs'); // as package.json has it
      const path = id.startsWith('.') ? join(dirname(file), id) : id;
      return path.startsWith(this.#root) ? this.load(path.slice(this.#root.length)) : nodes()(id);
    };
    return Object.defineProperty(require, 'resolve', { get: () => nodes().resolve });
  }

  #keep() {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#cache?.write(new Map([...this.#scripts].map(([name, script]) => [name, script.createCachedData()])));
  }
}

/** @param {string} name */
const importModule = (name) => import(name);

/**
 * Compiled code of one command, in a file: the length of an index, the index, and what it tells of; all of it twice, since V8 trusts what it
 * is given, and to compare takes a hundredth of what loading node:zlib for a checksum does. What is not whole is made anew; what
 * another V8 has made, V8 itself refuses.
 */
class CodeCache {
  #home;
  #folders;
  #file;
  /** @type {Map<string, Buffer>} */
  #known = new Map();

  /**
   * @param {string} home where the folders are made
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
      this.#known.clear(); // nothing, or nothing that makes sense
    }
  }

  /** @param {string} name */
  codeOf(name) {
    return this.#known.get(name);
  }

  #read() {
    const stats = fs.statSync(this.#file);
    if (!stats.isFile() || !isOwn(stats)) return;
    const bytes = fs.readFileSync(this.#file);
    const half = bytes.length / 2;
    if (!bytes.subarray(0, half).equals(bytes.subarray(half))) return;
    const start = 4 + bytes.readUInt32LE(0);
    const index = /** @type {[string, number, number][]} */ (JSON.parse(bytes.toString('latin1', 4, start)));
    for (const [name, at, length] of index) this.#known.set(name, bytes.subarray(start + at, start + at + length));
  }

  /**
   * Adds to what is there: one command loads other files for another storage.
   * @param {ReadonlyMap<string, Buffer>} code
   */
  write(code) {
    const all = new Map([...this.#known, ...code]);
    /** @type {[string, number, number][]} */
    const index = [];
    let at = 0;
    for (const [name, { length }] of all) {
      index.push([name, at, length]);
      at += length;
    }
    const told = Buffer.from(JSON.stringify(index));
    const lead = Buffer.alloc(4);
    lead.writeUInt32LE(told.length);
    const parts = [lead, told, ...all.values()];
    const unfinished = `${this.#file}.${process.pid}`;
    try {
      this.#makeFolders();
      fs.writeFileSync(unfinished, Buffer.concat([...parts, ...parts]), { mode: 0o600 });
      fs.renameSync(unfinished, this.#file);
    } catch {
      remove(unfinished); // there is no place for it
    }
  }

  /** One by one: below some folders that take none, Node would try for ever to make all of a path. */
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

/** @param {string} file */
function remove(file) {
  try {
    fs.unlinkSync(file);
  } catch {
    // it has never been there
  }
}

/**
 * What no build has added to for a month. A build in use makes its own anew.
 * @param {string} folder
 */
function removeUnused(folder) {
  for (const name of fs.readdirSync(folder)) {
    const build = join(folder, name);
    if (Date.now() - fs.statSync(build).mtimeMs > staleMs) fs.rmSync(build, { recursive: true, force: true });
  }
}
