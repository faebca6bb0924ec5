"""Where images and labels come from: folders, lists, arrays, other libraries and objects in code."""
