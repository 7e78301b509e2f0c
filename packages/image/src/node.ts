export * from "./index.js";
export * from "./read/idx-images.js";
export * from "./read/image-folder.js";
