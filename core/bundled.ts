/** Whether the modules lie in one file, as in a function's bundle, where no other file is beside them but what was put there. */
export const BUNDLED = process.env.HOLDFAST_BUNDLED === '1';
