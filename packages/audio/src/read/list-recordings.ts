/** The sound files of a folder. */
import { type FolderListing, listFolder } from "@unmask/core/node";

export const AUDIO_EXTENSIONS: ReadonlySet<string> = new Set(
  (
    ".wav .wave .flac .mp3 .ogg .oga .opus .m4a .aac .aif .aiff .wma .ac3 .amr .au .caf .mka " +
    ".mp4 .m4v .mov .webm .mkv .avi .mpg .mpeg .3gp"
  ).split(" "),
);

/** Sound files, and videos, which may have a track. @throws UnmaskError when the folder cannot be read or holds none */
export const listRecordings = (directory: string): FolderListing =>
  listFolder(directory, { caller: "audioFolder", wanted: "recording", extensions: AUDIO_EXTENSIONS });
